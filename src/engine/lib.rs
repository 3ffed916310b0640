//! The engine of `insight`: from typed columns to a trained, evaluated, servable model.
//!
//! It knows nothing of PostgreSQL. Data flows one way:
//! [`frame::Frame`] → [`recipe::Recipe`] → [`recipe::Matrix`] → [`train`] → [`artifact::Artifact`] → [`infer::Predictor`].

pub mod artifact;
pub mod calendar;
pub mod calibrate;
pub mod clean;
pub mod condition;
pub mod conformal;
pub mod decision;
mod distribution;
pub mod drift;
pub mod embed;
pub mod evaluate;
pub mod explain;
pub mod export;
pub mod fit;
pub mod forest;
pub mod frame;
pub mod infer;
pub mod linear;
pub mod lookup;
pub mod members;
pub mod models;
pub mod params;
pub mod picture;
pub mod privacy;
pub mod profile;
pub mod random;
pub mod recipe;
pub mod report;
pub mod sample;
pub mod segment;
pub mod select;
pub mod sequence;
pub mod settled;
pub mod survival;
pub mod synth;
pub mod train;
pub mod trained;
pub mod tune;
pub mod value;
