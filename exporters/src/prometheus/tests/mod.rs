//! The exporter from OTLP to what scrapers read.

mod exposition;
mod fixture;
mod native;
mod rules;
mod served;
