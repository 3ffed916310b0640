//! Trees and a network together.

use super::boost::boost;
use super::{Device, Step, Task, TrainError, Trained, network};
use crate::infer::answers;
use crate::models::Part;
use std::time::Instant;

/// Steps from nothing to everything in which the shares are tried.
const STEPS: u32 = 20;

/// Beyond so many labels trees, one for each in every round, would take longer than they are worth.
const MOST_LABELS: usize = 20;

/// A network and trees; their shares make the validation loss of the sum small (stacking with weights that are not negative
/// and add up to one: Breiman 1996, "Stacked regressions"). Without a validation part each has half.
pub(super) fn both(
    task: &Task<'_>,
    device: Device,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Trained, TrainError> {
    if task.outputs > MOST_LABELS {
        return network(task, device, report);
    }
    let started = Instant::now();
    let mut params = task.params.clone();
    // Trees are there soon; the network gets what they leave of the time.
    params.max_seconds = task.params.max_seconds.map(|s| s / 4.0);
    let boosted = boost(&task.with(&params), report)?;
    let gone = started.elapsed().as_secs_f64();
    params.max_seconds = task.params.max_seconds.map(|s| (s - gone).max(s / 4.0));
    let mut trained = match network(&task.with(&params), device, report) {
        Err(TrainError::Diverged { .. }) => return Ok(boosted),
        trained => trained?,
    };
    let models = [boosted.parts.clone(), std::mem::take(&mut trained.parts)].concat();
    let shares = match &task.validation {
        None => vec![0.5; 2],
        Some(part) => {
            let of = |p: &Part| answers(&p.model, task.output, task.outputs, part.matrix);
            let all: Vec<Vec<f64>> = models.iter().map(of).collect();
            let objective = task.objective().steep();
            let mix = |share: f64| -> f64 {
                let pairs = all[0].iter().zip(&all[1]);
                let mixed: Vec<f64> = pairs.map(|(a, b)| a + share * (b - a)).collect();
                objective.mean(&mixed, part)
            };
            let tried = (0..=STEPS).map(|i| f64::from(i) / f64::from(STEPS));
            let tried = tried.map(|share| (mix(share), share));
            let best = tried.min_by(|a, b| a.0.total_cmp(&b.0));
            let share = best.map_or(0.5, |(_, share)| share);
            vec![1.0 - share, share]
        }
    };
    if shares[1] == 0.0 {
        return Ok(boosted);
    }
    let parts = models.into_iter().zip(shares);
    trained.parts = parts
        .filter(|(_, share)| *share > 0.0)
        .map(|(part, share)| Part { share, ..part })
        .collect();
    Ok(trained)
}
