//! Which version answers, and why: what becomes of a new version, and the history of deployments.

use super::catalog::as_owner;
use crate::error::{Error, Result};
use insight_engine::fit::Challenge;
use pgrx::prelude::*;
use pgrx::{pg_sys, spi::SpiClient};
use serde::{Deserialize, Serialize};

/// What is to become of a version that was trained again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Promote {
    /// Deployed where it is better than the deployed version, or where that cannot be asked.
    IfBetter,
    Always,
    Never,
}

/// The version that was deployed when training was asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Champion {
    /// Such as `churn@3`.
    pub name: String,
    pub version: i32,
    pub id: i64,
}

/// The deployed version of a model; `None` where there is none.
pub fn champion(model: &str) -> Result<Option<Champion>> {
    as_owner(|| {
        Spi::connect(|client| {
            let row = client
                .select(
                    "SELECT v.id, v.version FROM insight.model m JOIN insight.version v ON v.model = m.id AND v.version = m.deployed \
                     WHERE m.name = $1",
                    None,
                    &[model.into()],
                )?
                .first();
            if row.is_empty() {
                return Ok(None);
            }
            let (id, version) = row.get_two::<i64, i32>()?;
            Ok(id.zip(version).map(|(id, version)| Champion {
                name: format!("{model}@{version}"),
                version,
                id,
            }))
        })
    })
}

/// What becomes of a new version.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    pub deploy: bool,
    /// For the history.
    pub reason: String,
    /// What who waits is told.
    pub notice: Option<String>,
    pub challenge: Option<Challenge>,
}

impl Verdict {
    /// A deployment that nothing was compared for.
    pub fn of(reason: impl Into<String>) -> Verdict {
        Verdict {
            deploy: true,
            reason: reason.into(),
            ..Verdict::default()
        }
    }

    /// Of a version that was trained again; `deployed` is the version deployed by now.
    pub fn of_retrained(
        version: i32,
        promote: Promote,
        champion: Option<&Champion>,
        deployed: Option<i32>,
        challenge: Option<Challenge>,
    ) -> Verdict {
        let Some(champion) = champion else {
            return Verdict {
                // One that was deployed meanwhile was not compared with.
                deploy: promote == Promote::Always
                    || promote == Promote::IfBetter && deployed.is_none(),
                reason: match deployed {
                    None => "trained again; no version was deployed",
                    Some(_) => "trained again; a version was deployed meanwhile",
                }
                .into(),
                ..Verdict::default()
            };
        };
        let old = champion.version;
        let refused = match &challenge {
            None => Some("it cannot be read, or models of its kind are not compared".to_owned()),
            Some(challenge) => challenge.reason.clone(),
        };
        let better = challenge.as_ref().and_then(|c| c.better) == Some(true);
        let beside = match (&challenge, &refused) {
            (Some(challenge), None) => compared(challenge, old),
            (_, refused) => format!(
                "not compared with version {old}: {}",
                refused.as_deref().unwrap_or_default()
            ),
        };
        let (deploy, reason) = match promote {
            Promote::Always => (true, "trained again, promote always".to_owned()),
            Promote::Never => (false, "trained again, promote never".to_owned()),
            Promote::IfBetter if deployed != Some(old) => (
                false,
                format!("another version was deployed in place of version {old} meanwhile"),
            ),
            Promote::IfBetter if refused.is_some() => (true, beside.clone()),
            Promote::IfBetter if better => (true, format!("better than version {old}")),
            Promote::IfBetter => (false, format!("not shown to be better than version {old}")),
        };
        let told = if reason == beside {
            beside
        } else {
            format!("{reason}; {beside}")
        };
        let notice = match deploy {
            true => format!("version {version} is deployed: {told}"),
            false => format!("version {version} is stored and not deployed: {told}"),
        };
        Verdict {
            deploy,
            reason,
            notice: Some(notice),
            challenge,
        }
    }
}

/// A comparison in words.
fn compared(challenge: &Challenge, old: i32) -> String {
    let number = |x: Option<f64>| x.map_or("unknown".into(), |x| format!("{x:.4}"));
    let rows = match challenge.unseen {
        true => "rows that neither was trained on".to_owned(),
        false => format!("test rows, some of which version {old} may have been trained on"),
    };
    let p = match challenge.p_value {
        Some(p) if p < 0.0001 => "p < 0.0001".to_owned(),
        p => format!("p = {}", number(p)),
    };
    format!(
        "{} {} beside {} of version {old} on {} {rows}, {p}",
        challenge.metric.as_deref().unwrap_or_default(),
        number(challenge.challenger_score),
        number(challenge.champion_score),
        challenge.rows,
    )
}

/// Adds a deployment to the history; call it before the pointer moves.
pub fn note(
    client: &mut SpiClient<'_>,
    model: i64,
    version: i32,
    role: pg_sys::Oid,
    verdict: &Verdict,
) -> Result<()> {
    let challenge = verdict.challenge.as_ref();
    client.update(
        "INSERT INTO insight.deployment (model, version, replaced, role, reason, metric, champion_score, challenger_score, p_value, rows) \
         SELECT m.id, $2, m.deployed, pg_get_userbyid($3), $4, $5, $6, $7, $8, $9 FROM insight.model m WHERE m.id = $1",
        None,
        &[
            model.into(),
            version.into(),
            role.into(),
            verdict.reason.as_str().into(),
            challenge.and_then(|c| c.metric.as_deref()).into(),
            challenge.and_then(|c| c.champion_score).into(),
            challenge.and_then(|c| c.challenger_score).into(),
            challenge.and_then(|c| c.p_value).into(),
            challenge.filter(|c| c.rows > 0).map(|c| c.rows as i64).into(),
        ],
    )?;
    Ok(())
}

/// The version to go back to: the highest below the deployed one that was deployed before; where none was, the highest below.
pub fn before(client: &SpiClient<'_>, model: i64, deployed: i32) -> Result<Option<i32>> {
    let row = client
        .select(
            "SELECT COALESCE(max(v.version) FILTER (WHERE EXISTS (SELECT FROM insight.deployment d WHERE d.model = v.model \
             AND d.version = v.version)), max(v.version)) FROM insight.version v WHERE v.model = $1 AND v.version < $2",
            None,
            &[model.into(), deployed.into()],
        )?
        .first();
    row.get_one::<i32>().map_err(Error::from)
}
