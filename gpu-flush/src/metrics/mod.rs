//! Throughput and latency by stage, stalls by edge, memory.
