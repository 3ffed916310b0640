use super::super::testing::{artifact, attending};
use super::*;
use crate::artifact::container::{CHECKSUM, PREFIX, VERSION, checksum};
use crate::artifact::testing::net;
use crate::infer::testing::Random;
use crate::models::Output;

fn is_damaged(bytes: &[u8]) -> bool {
    matches!(Artifact::from_bytes(bytes), Err(ArtifactError::Damaged(_)))
}

/// With the length and the checksum put right: what someone could craft.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let summed = bytes.len() - CHECKSUM;
    let total = bytes.len() as u64;
    bytes[12..20].copy_from_slice(&total.to_le_bytes());
    let sum = checksum(&bytes[..summed]);
    bytes[summed..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

#[test]
fn bytes_bring_back_the_same_model() {
    let mut before = artifact();
    let mut after = Artifact::from_bytes(&before.to_bytes()).unwrap();
    assert_eq!(net(&mut after).embeddings, net(&mut before).embeddings);
    for (a, b) in net(&mut after).layers.iter().zip(&net(&mut before).layers) {
        assert_eq!((&a.weights, &a.bias), (&b.weights, &b.bias));
    }
    let text = |a: &Artifact| serde_json::to_string(a).unwrap();
    assert_eq!(text(&after), text(&before));
    assert_eq!(after.to_bytes(), before.to_bytes());
}

#[test]
fn bytes_bring_back_the_same_transformer() {
    let before = attending();
    let after = Artifact::from_bytes(&before.to_bytes()).unwrap();
    let weights = |a: &Artifact| match &a.parts[0].model {
        Model::Transformer(own) => own.all_weights().cloned().collect::<Vec<_>>(),
        _ => panic!("no transformer"),
    };
    assert_eq!(weights(&after), weights(&before));
    assert!(after.same_model(&before));
}

#[test]
fn sizes_of_a_transformer_that_do_not_fit_are_refused() {
    let reshaped = |change: &dyn Fn(&mut Transformer)| {
        let mut a = attending();
        let Model::Transformer(own) = &mut a.parts[0].model else {
            panic!("no transformer");
        };
        change(own);
        assert!(is_damaged(&a.to_bytes()));
        assert!(a.check().is_err());
    };
    reshaped(&|t| t.width = usize::MAX);
    reshaped(&|t| t.width = 0);
    reshaped(&|t| t.heads = 3);
    reshaped(&|t| t.heads = 0);
    reshaped(&|t| t.hidden = usize::MAX - 7);
    reshaped(&|t| t.blocks = usize::MAX);
    reshaped(&|t| t.blocks = 0);
    reshaped(&|t| t.outputs = usize::MAX);
    reshaped(&|t| t.outputs = 2);
    reshaped(&|t| t.tokens.count = usize::MAX);
    reshaped(&|t| t.tokens.count -= 1);
    reshaped(&|t| t.tokens.numbers[0] = 0);
    reshaped(&|t| t.tokens.numbers.clear());
    reshaped(&|t| t.tokens.categories[0] = usize::MAX);
    reshaped(&|t| t.inputs.numbers = usize::MAX);
    reshaped(&|t| t.inputs.categories[0].levels = usize::MAX);
    reshaped(&|t| t.number_embeddings[0].input = usize::MAX);
    reshaped(&|t| t.number_embeddings[0].dim = 16);
    reshaped(&|t| t.output = Output::Softmax);
    reshaped(&|t| t.weights[5] = f32::NAN);
    reshaped(&|t| t.weights.truncate(9));
    reshaped(&|t| t.embeddings[0][0] = f32::INFINITY);
}

#[test]
fn a_history_with_odd_numbers_stays_readable() {
    let mut a = artifact();
    a.history[0].rows_per_second = f64::INFINITY;
    a.history[0].validation_loss = Some(f64::NAN);
    let after = Artifact::from_bytes(&a.to_bytes()).unwrap();
    assert!(after.history[0].rows_per_second.is_nan());
    assert_eq!(after.history[0].validation_loss, None);
}

#[test]
fn bytes_cut_short_or_prolonged_are_damaged() {
    let bytes = artifact().to_bytes();
    for length in 0..bytes.len() {
        assert!(is_damaged(&bytes[..length]), "{length}");
        if length > PREFIX + CHECKSUM {
            assert!(is_damaged(&sealed(bytes[..length].to_vec())), "{length}");
        }
    }
    let longer = |n: usize| [&bytes[..], &vec![0; n]].concat();
    for n in [1, 4, 8, 1000] {
        assert!(is_damaged(&longer(n)));
        assert!(is_damaged(&sealed(longer(n))));
    }
}

#[test]
fn any_flipped_bit_is_noticed() {
    let bytes = artifact().to_bytes();
    for at in 0..bytes.len() {
        for bit in [1, 0x10, 0x80, 0xff] {
            let mut flipped = bytes.clone();
            flipped[at] ^= bit;
            let result = Artifact::from_bytes(&flipped);
            // A version is told apart before the rest is understood.
            let newer = matches!(result, Err(ArtifactError::TooNew { .. }));
            let version = u32::from_le_bytes(flipped[8..12].try_into().unwrap());
            assert_eq!(newer, version > VERSION);
            assert!(result.is_err(), "byte {at}");
        }
    }
}

#[test]
fn flipped_bytes_with_a_right_checksum_never_panic() {
    let both = [artifact().to_bytes(), attending().to_bytes()];
    let mut random = Random(5);
    for round in 0..6_000 {
        let mut crafted = both[round % 2].clone();
        for _ in 0..1 + random.below(3) {
            let at = random.below(crafted.len());
            crafted[at] = random.next() as u8;
        }
        if let Ok(artifact) = Artifact::from_bytes(&sealed(crafted)) {
            // What passes can be asked.
            assert!(crate::infer::Predictor::new(artifact).is_ok());
        }
    }
}

#[test]
fn random_bytes_are_damaged() {
    let mut random = Random(9);
    for round in 0..2_000 {
        let length = random.below(300);
        let mut bytes: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        if round % 2 == 0 && length > 40 {
            bytes[..8].copy_from_slice(MAGIC);
            bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
            bytes[20..24].copy_from_slice(&(length as u32 - 32).to_le_bytes());
            bytes = sealed(bytes);
        }
        assert!(is_damaged(&bytes));
    }
}

#[test]
fn shapes_beyond_the_bytes_are_refused_before_memory_is_taken() {
    let reshaped = |change: &dyn Fn(&mut Artifact)| {
        let mut a = artifact();
        change(&mut a);
        is_damaged(&a.to_bytes())
    };
    assert!(reshaped(&|a| net(a).layers[0].inputs = usize::MAX));
    assert!(reshaped(&|a| net(a).layers[0].outputs = usize::MAX / 4));
    assert!(reshaped(&|a| net(a).layers[0].outputs = 1 << 40));
    assert!(reshaped(
        &|a| net(a).inputs.categories[0].levels = usize::MAX
    ));
    assert!(reshaped(&|a| net(a).layers[0].inputs += 1));
    assert!(reshaped(&|a| net(a).layers.clear()));
    assert!(reshaped(&|a| net(a).heads.clear()));
    assert!(reshaped(&|a| net(a).members = usize::MAX));
    assert!(reshaped(&|a| a.target.labels.push("third".into())));
    assert!(reshaped(&|a| a.task = super::super::Task::Regression));
}

#[test]
fn weights_that_are_no_numbers_are_refused() {
    for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut a = artifact();
        net(&mut a).heads[0].weights[3] = wrong;
        assert!(is_damaged(&a.to_bytes()));
    }
}

#[test]
fn the_format_before_is_read() {
    let mut bytes = artifact().to_bytes();
    bytes[8..12].copy_from_slice(&2u32.to_le_bytes());
    assert!(Artifact::from_bytes(&sealed(bytes.clone())).is_ok());
    bytes[8..12].copy_from_slice(&1u32.to_le_bytes());
    assert!(is_damaged(&sealed(bytes)));
}

#[test]
fn a_newer_format_says_so() {
    let mut bytes = artifact().to_bytes();
    bytes[8..12].copy_from_slice(&7u32.to_le_bytes());
    let error = Artifact::from_bytes(&bytes).unwrap_err();
    assert!(matches!(
        error,
        ArtifactError::TooNew {
            found: 7,
            known: VERSION
        }
    ));
}
