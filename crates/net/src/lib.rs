//! Peers that find each other, talk within limits, and move large things.
