//! What this host allows, found by looking and by loading.
