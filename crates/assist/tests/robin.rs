//! The weights that ship are what the recipe makes, and the same bits everywhere.

use assist::{Assistant, Nerve, Part, Recipe, repeaters, robin};
use exact::Device;

/// What `cargo run --release -p assist --example robin -- make` prints.
const HASH: &str = "ROBIN_HASH";

#[test]
fn what_ships_is_what_was_made() {
    assert_eq!(robin().unwrap().hash(), HASH);
}

/// The whole recipe takes a minute or more: `ROBIN_PRETRAIN=1 cargo test --release -p assist` runs it. Otherwise two steps of it are run twice, with
/// one thread and with two.
#[test]
fn the_recipe_makes_it() {
    if std::env::var_os("ROBIN_PRETRAIN").is_some() {
        let made = Recipe::shipped().run(&Device::cpu(2), |_, _| {}).unwrap();
        assert_eq!(made.hash(), HASH);
        return;
    }
    let recipe = Recipe { steps: 2, ..Recipe::shipped() };
    let [one, two] = [1, 2].map(|threads| recipe.run(&Device::cpu(threads), |_, _| {}).unwrap());
    assert!(one == two);
}

/// What the assistant believes does not depend on the machine either: here against the specification, one number at a time.
#[test]
fn a_guess_has_the_same_bits_on_every_device() {
    let session = &repeaters(Part::Exam, 1, 1, 1)[0].sessions[0];
    let mut world = session.world();
    for event in session.events.iter().take(40) {
        world.apply(event);
    }
    let weights = robin().unwrap();
    let guess = |device: Device| {
        let mut assistant = Assistant::new(&weights, Nerve::default(), &device).unwrap();
        let guess = assistant.guess(&world).unwrap();
        let bits = guess.thoughts.iter().map(|t| (t.at, t.block, t.sure.to_bits())).collect::<Vec<_>>();
        (bits, guess.progress.to_bits())
    };
    let fast = guess(Device::cpu(2));
    assert!(!fast.0.is_empty());
    assert!(fast == guess(Device::scalar()));
}
