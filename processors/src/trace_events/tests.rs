mod bounds;
mod joining;
mod property;
mod world;
