//! Bad input gets a clear error and nothing is lost; good input of every kind trains and predicts.

mod damage;
mod hostile;
mod names;
mod refused;
mod relations;
mod text_model;
mod types;
mod unseen;
mod values;
