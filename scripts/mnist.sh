# Sourced by the scripts that take MNIST with -d: where it is.

# The folder "$1" if one is named, else that of the environment, else the
# project's own; nothing if there is no such folder.
mnist_folder() {
  local folder
  if [ -n "$1" ]; then
    if [ -d "$1" ]; then echo "$1"; fi
    return
  fi
  for folder in ${PDNN_DATA:+"$PDNN_DATA/mnist"} data/mnist; do
    if [ -d "$folder" ]; then echo "$folder"; return; fi
  done
}

# Whether the folder "$1" has the test images and their labels, gzip'd or not.
has_mnist_test() {
  local name
  [ -n "$1" ] || return 1
  for name in t10k-images-idx3-ubyte t10k-labels-idx1-ubyte; do
    if [ ! -f "$1/$name" ] && [ ! -f "$1/$name.gz" ]; then return 1; fi
  done
}
