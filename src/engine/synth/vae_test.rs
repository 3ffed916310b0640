use super::*;
use crate::synth::layout::Block;

#[test]
fn the_loss_of_rebuilding_has_this_gradient() {
    let layout = Layout {
        blocks: vec![Block {
            field: 0,
            place: Some(0),
            choice: 1..4,
            condition: None,
        }],
        width: 4,
        conditions: 0,
    };
    let x = [0.3f32, 0.0, 1.0, 0.0, -0.4, 1.0, 0.0, 0.0];
    let y = [0.1f32, 0.5, -0.2, 0.3, 0.2, -1.0, 0.4, 0.0];
    let deviations = [0.4f32, 0.1, 0.1, 0.1];
    let loss = |y: &[f32], s: &[f32]| {
        let (mut dy, mut ds) = (vec![0.0; 8], vec![0.0; 4]);
        (rebuild(&layout, &x, y, s, &mut dy, &mut ds), dy, ds)
    };
    let (_, dy, ds) = loss(&y, &deviations);
    const H: f32 = 1e-2;
    for at in 0..8 {
        let (mut up, mut down) = (y, y);
        up[at] += H;
        down[at] -= H;
        let measured = (loss(&up, &deviations).0 - loss(&down, &deviations).0) / (2.0 * H);
        assert!(
            (measured - dy[at]).abs() < 0.01,
            "{at}: {} but {measured}",
            dy[at]
        );
    }
    let (mut up, mut down) = (deviations, deviations);
    up[0] += H;
    down[0] -= H;
    let measured = (loss(&y, &up).0 - loss(&y, &down).0) / (2.0 * H);
    assert!((measured - ds[0]).abs() < 0.05, "{} but {measured}", ds[0]);
}
