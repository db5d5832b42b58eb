//! What an API server of Kubernetes says: pages of lists, and the lines of watches.

use sluice_pipeline::kubernetes::fuzzing;

pub(super) const TOKENS: &[&[u8]] = &[
    b"\n",
    b"{\"type\":\"ADDED\",\"object\":{",
    b"{\"type\":\"ERROR\",\"object\":{\"code\":410}}",
    b"\"type\":\"BOOKMARK\"",
    b"\"metadata\":null",
    b"\"resourceVersion\":1",
    b"\"podIP\":\"::1\"",
    b"\"restartCount\":-1",
    b"\"containerStatuses\":[null]",
    b"\"items\":null",
    b"\"code\":65536",
    b"null",
    b"[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":",
    b"\"\\ud800\"",
    b"1e400",
    b"\xff",
];

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let pod = r#"{"kind":"Pod","metadata":{"name":"oap-0","namespace":"a","uid":"1","resourceVersion":"7","labels":{"app":"oap"},
        "annotations":{"a":"b"},"ownerReferences":[{"kind":"ReplicaSet","name":"oap","uid":"2"}]},
        "spec":{"nodeName":"n","hostNetwork":false,"containers":[{"name":"c","image":"i:1"}]},
        "status":{"phase":"Running","podIP":"10.0.0.1","podIPs":[{"ip":"10.0.0.1"}],"startTime":"2026-01-01T00:00:00Z",
        "conditions":[{"type":"Ready","status":"True"}],"containerStatuses":[{"name":"c","containerID":"containerd://1",
        "restartCount":1,"lastState":{"terminated":{"containerID":"containerd://0"}}}]}}"#
        .replace('\n', "");
    let slice = r#"{"metadata":{"name":"oap-x"},"endpoints":[{"addresses":["10.0.0.1"],"conditions":{"ready":true}},
        {"addresses":["10.0.0.2"],"conditions":{"ready":null}}]}"#;
    let lines = format!(
        "{{\"type\":\"ADDED\",\"object\":{pod}}}\n{{\"type\":\"DELETED\",\"object\":{pod}}}\n\
         {{\"type\":\"BOOKMARK\",\"object\":{{\"metadata\":{{\"resourceVersion\":\"9\"}}}}}}\n\
         {{\"type\":\"ERROR\",\"object\":{{\"kind\":\"Status\",\"code\":410,\"message\":\"too old\"}}}}\n"
    );
    let page = format!(
        r#"{{"kind":"List","metadata":{{"resourceVersion":"9","continue":"a"}},"items":[{slice},{slice}]}}"#
    );
    vec![lines.into_bytes(), page.into_bytes()]
}

/// However a watch arrives, it says the same; a page is one or is refused.
pub(super) fn read(input: &[u8]) -> String {
    let whole = fuzzing::watch(input, input.len());
    assert_eq!(fuzzing::watch(input, 7), whole, "what a watch says depends on how it arrives");
    let kinds: Vec<&str> =
        whole.iter().take(3).map(|said| said.split(' ').next().unwrap_or_default()).collect();
    format!("{kinds:?} {:?}", fuzzing::list(input))
}
