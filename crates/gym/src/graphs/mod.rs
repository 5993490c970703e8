//! Families of ways and connections.

mod shortest_path;

pub use shortest_path::ShortestPath;
