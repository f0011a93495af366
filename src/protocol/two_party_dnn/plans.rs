//! Plans that were made ahead: what a server may keep beside its model.

use rayon::prelude::*;

use crate::{
    encrypted::{
        layer::{Fitting, Layer},
        plan::{Common, Planes},
    },
    file::plan::SavedPlan,
    network::Linear,
};

use super::Server;

/// A plan that was not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefused {
    /// No layer of that name.
    #[error("no layer is called {stage:?}")]
    NoStage {
        /// The plan's stage.
        stage: String,
    },
    /// Planes of another version, perhaps.
    #[error("the plan of {stage} writes weights as {planes:?}, which this version does not know")]
    UnknownPlanes {
        /// The plan's stage.
        stage: String,
        /// What the plan says.
        planes: String,
    },
    /// Damaged, or made for another network.
    #[error("the plan of {stage} does not come to the layer's weights")]
    OtherWeights {
        /// The plan's stage.
        stage: String,
    },
}

impl Server {
    /// Looks for common pairs in all layers, for either way in which
    /// ciphertexts are packed, and keeps those that are worth it. Takes
    /// seconds for large layers. `progress` hears how many of how many layers
    /// and packings are done.
    pub fn find_plans(&mut self, progress: &mut dyn FnMut(usize, usize)) -> Vec<SavedPlan> {
        let rows = |linear: &Linear| match linear {
            Linear::Conv { .. } => &[true, false][..],
            Linear::Dense { .. } => &[false],
        };
        let all = self
            .layers()
            .iter()
            .map(|layer| rows(&layer.stage().linear).len());
        let (mut done, all) = (0, all.sum());
        let mut plans = Vec::new();
        for layer in self.layers_mut() {
            for &by_tap in rows(&layer.stage().linear) {
                if let Some(common) = layer.find_common(by_tap) {
                    plans.push(saved(&layer.stage().name, &common));
                    layer.give_common(common);
                }
                done += 1;
                progress(done, all);
            }
        }
        plans
    }

    /// Gives the server plans that were made ahead: all of them or, if one
    /// cannot be used, none. A plan has to compute exactly the layer's weights:
    /// it can make a server faster or slower, never wrong.
    ///
    /// # Errors
    ///
    /// A plan of no layer, of unknown planes, or of other weights.
    pub fn give_plans(&mut self, plans: Vec<SavedPlan>) -> Result<(), PlanRefused> {
        let layers = self.layers();
        let checked = plans.into_par_iter().map(|plan| usable(layers, plan));
        let checked: Vec<_> = checked.collect::<Result<_, _>>()?;
        for (layer, common) in checked {
            self.layers_mut()[layer].give_common(common);
        }
        Ok(())
    }
}

/// Number of the layer that a plan is for, and the pairs in it.
fn usable(layers: &[Layer], plan: SavedPlan) -> Result<(usize, Fitting), PlanRefused> {
    let SavedPlan { stage, .. } = plan;
    let Some(planes) = Planes::named(&plan.planes) else {
        let planes = plan.planes;
        return Err(PlanRefused::UnknownPlanes { stage, planes });
    };
    let Some(layer) = layers.iter().position(|layer| layer.stage().name == stage) else {
        return Err(PlanRefused::NoStage { stage });
    };
    let mut rest = plan.members.into_iter();
    let set = |&size: &u32| rest.by_ref().take(size as usize).collect::<Vec<u32>>();
    let common = Common {
        planes,
        pairs: plan.pairs,
        sets: plan.sizes.iter().map(set).collect(),
    };
    match layers[layer].fitting(plan.by_tap, common) {
        Some(common) => Ok((layer, common)),
        None => Err(PlanRefused::OtherWeights { stage }),
    }
}

fn saved(stage: &str, found: &Fitting) -> SavedPlan {
    let common = found.common();
    let sets = || (0..common.sets.len()).map(|s| common.sets.row(s));
    SavedPlan {
        stage: stage.to_string(),
        by_tap: found.by_tap(),
        planes: common.planes.name().to_string(),
        pairs: common.pairs.clone(),
        sizes: sets().map(|set| set.len() as u32).collect(),
        members: sets().flatten().copied().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        encrypted::{layout::Packing, plan::Method},
        network::{InputSpec, Network, Profile, Range, Shape, Stage, Weights},
        paillier::Counts,
    };

    /// Two layers whose outputs have much in common.
    fn network() -> Network {
        let conv = Linear::Conv {
            input: Shape::new(1, 4, 4),
            outputs: 3,
            kernel: (2, 2),
            stride: 1,
            padding: 0,
        };
        let dense = Linear::Dense {
            inputs: 27,
            outputs: 5,
        };
        let stage = |name: &str, linear, then| Stage {
            name: name.to_owned(),
            linear,
            range: Range::new(0, 0),
            then,
        };
        let stages = vec![
            stage("conv", conv, vec![crate::network::Op::Relu]),
            stage("out", dense, vec![]),
        ];
        let input = InputSpec {
            shape: Shape::new(1, 4, 4),
            min: 0,
            max: 255,
        };
        let labels = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        let profile = Profile::new("tiny", input, stages, labels, 0.25);
        let weights = |outputs: usize, taps: i32| Weights {
            weights: (0..outputs as i32 * taps).map(|w| w * w % 15 - 7).collect(),
            bias: vec![1; outputs],
        };
        Network::new(profile, vec![weights(3, 4), weights(5, 27)]).expect("a network")
    }

    fn work(server: &Server, packing: Packing) -> Vec<(Method, Counts)> {
        let work = server.work(512, 1, packing).expect("slots");
        work.iter()
            .map(|stage| (stage.method, stage.counts))
            .collect()
    }

    fn is_common(method: Method) -> bool {
        matches!(method, Method::Common { .. })
    }

    #[test]
    fn a_server_uses_the_plans_that_it_found_or_was_given() {
        let mut finder = Server::new(network());
        let mut heard = Vec::new();
        let plans = finder.find_plans(&mut |done, all| heard.push((done, all)));
        assert_eq!(heard, [(1, 3), (2, 3), (3, 3)]);
        let mut given = Server::new(network());
        given.give_plans(plans).expect("its own");
        for packing in [Packing::Latency, Packing::Throughput] {
            let found = work(&finder, packing);
            assert_eq!(work(&given, packing), found);
            assert!(found.iter().any(|&(method, _)| is_common(method)));
            let without = work(&Server::new(network()), packing);
            for ((_, with), (_, without)) in found.iter().zip(without) {
                assert!(with.products <= without.products);
            }
            let compared = given.methods(512, 1, packing).expect("slots");
            for (methods, (method, _)) in compared.iter().zip(found) {
                assert_eq!(methods[0].0, method, "the quickest is used");
            }
        }
    }

    #[test]
    fn a_plan_that_computes_other_weights_is_refused_and_no_other_used() {
        let mut plans = Server::new(network()).find_plans(&mut |_, _| ());
        let mut server = Server::new(network());
        let last = plans.last_mut().expect("one that is worth it");
        last.members.reverse();
        let refused = server.give_plans(plans).expect_err("other weights");
        assert!(matches!(refused, PlanRefused::OtherWeights { .. }));
        let found = work(&server, Packing::Latency);
        assert_eq!(found, work(&Server::new(network()), Packing::Latency));
    }

    #[test]
    fn a_plan_of_no_layer_or_unknown_planes_is_refused() {
        let plan = SavedPlan {
            stage: "conv".to_owned(),
            by_tap: true,
            planes: "ternary".to_owned(),
            pairs: vec![],
            sizes: vec![],
            members: vec![],
        };
        let mut server = Server::new(network());
        let refused = server.give_plans(vec![plan.clone()]).expect_err("unknown");
        assert!(matches!(refused, PlanRefused::UnknownPlanes { .. }));
        let plan = SavedPlan {
            stage: "pool".to_owned(),
            planes: "binary".to_owned(),
            ..plan
        };
        let refused = server.give_plans(vec![plan]).expect_err("no stage");
        assert!(matches!(refused, PlanRefused::NoStage { .. }));
    }
}
