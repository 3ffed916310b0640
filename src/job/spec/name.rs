//! What a model is called.

use crate::error::{Error, Result};
use crate::relation::resolve::Source;

/// The name given, if it can be one, else that of the relation and what is predicted.
pub(super) fn model_name(model: Option<&str>, source: &Source, target: &str) -> Result<String> {
    let Some(model) = model else {
        return Ok(format!("{}_{target}", source.name).replace('@', "_"));
    };
    check_name(model)?;
    Ok(model.into())
}

/// Whether a model can have this name.
pub fn check_name(model: &str) -> Result<()> {
    if model.trim().is_empty()
        || model.chars().count() > 200
        || model.contains('@')
        || model.chars().any(char::is_control)
    {
        return Err(
            Error::new("42602", format!("invalid model name \"{model}\"")).hint(
                "A model name has 1 to 200 characters, none of them @ (model@3 names a version).",
            ),
        );
    }
    Ok(())
}
