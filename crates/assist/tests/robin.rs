//! The weights that ship are what the recipe makes, and the same bits everywhere.

use std::collections::HashSet;

use assist::{Act, Actor, Assistant, Event, Intent, Nerve, Part, Recipe, repeaters, robin};
use exact::Device;

/// What `cargo run --release -p assist --example robin -- make` prints.
const HASH: &str = "696d5bf20e09b54f8d316218409f05b02cdfb718d1d1c2970333ad75d075fc68";

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

/// A player who undoes whatever it does: it never does it again there, never builds where somebody stands, and does nothing when told to stop.
#[test]
fn what_is_undone_is_not_done_again() {
    let session = &repeaters(Part::Lessons, 1, 1, 1)[0].sessions[0];
    let nerve = Nerve { build: 0.5, show: 0.3 };
    let mut assistant = Assistant::new(&robin().unwrap(), nerve, &Device::cpu(2)).unwrap();
    let mut world = session.world();
    let mut undone = HashSet::new();
    let mut stands = None;
    for event in session.events.iter().take(80) {
        world.apply(event);
        match &event.act {
            Act::Move { at } => stands = Some(*at),
            // Where the player builds after all, it may again.
            Act::Place { at, .. } => _ = undone.remove(at),
            _ => {}
        }
        for intent in assistant.decide(&world).unwrap() {
            let Intent::Place { at, block, .. } = intent else { continue };
            assert!(undone.insert(at), "it was undone at {at:?}");
            assert_ne!(stands, Some(at));
            let did = Event { time_ms: 0, who: Actor::Assistant, act: Act::Place { at, block }, sure: None };
            world.apply(&did);
            world.apply(&Event::player(0, Act::Break { at }));
        }
    }
    assert!(!undone.is_empty());
    world.apply(&Event::player(0, Act::Stop));
    assert!(assistant.decide(&world).unwrap().is_empty());
}
