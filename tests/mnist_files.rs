//! The real MNIST files, where they are there, are read as what they are.

mod common;

use pdnn::dataset::load_idx_pair;

#[test]
fn the_mnist_test_set() {
    let name = "the_mnist_test_set";
    let Some(folder) = common::optional_data(name, "mnist", "t10k-images-idx3-ubyte") else {
        return;
    };
    let set = load_idx_pair(&folder, "t10k").expect("MNIST is well formed");
    assert_eq!(set.len(), 10_000);
    assert_eq!((set.images.height(), set.images.width()), (28, 28));
    set.check_labels(10).expect("ten classes");
    let labels = set.labels.expect("a labelled set");
    assert_eq!(labels[..10], [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
    // Digits per class, as published.
    let mut counts = [0; 10];
    labels
        .iter()
        .for_each(|label| counts[usize::from(*label)] += 1);
    assert_eq!(
        counts,
        [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    );
    // White ink on black: the corners of every image are black.
    assert!(set.images.iter().all(|image| image[0] == 0));
}
