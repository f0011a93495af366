//! What a person does with the program, one process a step.

mod audit;
#[path = "../common/bayesian.rs"]
mod bayesian;
mod bayhenn;
mod dot;
mod evaluate;
mod exchange;
mod kernels;
mod masked;
mod place;
mod plan;
mod posterior;
mod randomisers;
mod safety;
mod sessions;
mod tables;
#[path = "../common/tiny.rs"]
mod tiny;
