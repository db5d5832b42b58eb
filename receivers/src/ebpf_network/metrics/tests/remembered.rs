//! Series that connections remember are those that are looked up.

use proptest::prelude::*;

use super::{
    model::{IDENTITIES, TCP, model_config, observation, pair, request, side},
    *,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn series_that_are_remembered_are_those_that_are_looked_up(
        config in model_config(),
        sides in proptest::collection::vec(side(), 1..4),
        requests in proptest::collection::vec(request(), 1..3),
        steps in proptest::collection::vec((0..16u8, any::<usize>(), any::<usize>()), 1..120),
    ) {
        let mut remembering = aggregator(&config);
        let mut looking = aggregator(&config);
        let mut handles = IDENTITIES.map(|identity| {
            (remembering.process(&identity), looking.process(&identity))
        });
        let connect = |remembering: &Aggregator, looking: &Aggregator, handles: &[(ProcessHandle, ProcessHandle); 3], side| {
            (
                pair(remembering, side, &handles.map(|handles| handles.0)),
                pair(looking, side, &handles.map(|handles| handles.1)),
                Recent::default(),
            )
        };
        let mut connections: Vec<_> =
            sides.iter().map(|side| connect(&remembering, &looking, &handles, side)).collect();
        for (now, (kind, first, second)) in (2_000..).zip(steps.into_iter().chain([(0, 0, 0)])) {
            let process = first % 3;
            let place = first % sides.len();
            match kind {
                0 => prop_assert_eq!(collect(&mut remembering, now), collect(&mut looking, now)),
                1 => {
                    remembering.release(handles[process].0);
                    looking.release(handles[process].1);
                }
                2 => {
                    let identity = &IDENTITIES[process];
                    handles[process] = (remembering.process(identity), looking.process(identity));
                }
                3 => connections[place] = connect(&remembering, &looking, &handles, &sides[place]),
                4..10 => {
                    let observation = observation(&requests[second % requests.len()]);
                    let (remembered, looked_up, recent) = &mut connections[place];
                    remembering.http_on(remembered, recent, &observation);
                    looking.http(looked_up, &observation);
                }
                _ => {
                    let observation = TCP[second % TCP.len()];
                    let (remembered, looked_up, recent) = &mut connections[place];
                    remembering.tcp_on(remembered, recent, observation);
                    looking.tcp(looked_up, observation);
                }
            }
        }
    }
}
