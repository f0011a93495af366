//! Tables, costs and plots, made from plain records.
