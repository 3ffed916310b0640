//! The text model that a model needs beside its own bytes.

use crate::error::{Error, Result};
use crate::settings;
use insight_engine::embed;
use insight_engine::infer::Predictor;

/// Gives a model the text model it was trained with, where it needs one; to be called before it predicts.
pub fn attach(predictor: &Predictor) -> Result<()> {
    let recipe = &predictor.artifact().recipe;
    let Some(wanted) = recipe.text_model() else {
        return Ok(());
    };
    let Some(folder) = settings::text_model() else {
        return Err(Error::new(
            "55000",
            "the model needs the text model it was trained with",
        )
        .detail(format!(
            "Its fingerprint is {wanted}; insight.text_model names none."
        ))
        .hint("Have a superuser set insight.text_model to its folder."));
    };
    let encoder = embed::open(&folder)?;
    if encoder.fingerprint() != wanted {
        return Err(
            Error::new("55000", "insight.text_model is another text model than the model was trained with")
                .detail(format!(
                    "The fingerprint of \"{}\" is {}, not {wanted}.",
                    folder.display(),
                    encoder.fingerprint()
                ))
                .hint("Have a superuser set insight.text_model to the folder of that time, or train the model again."),
        );
    }
    recipe.attach(&encoder);
    Ok(())
}
