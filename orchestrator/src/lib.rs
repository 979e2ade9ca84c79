//! Builds task graphs: rings, scopes, dependency inference, prewiring, back-pressure.
