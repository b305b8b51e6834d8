function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'alb-bench-result {"duration_us":%.0f,"requests":%.0f,"bytes":%.0f,' ..
    '"min_us":%.0f,"mean_us":%.0f,"sd_us":%.0f,' ..
    '"p50_us":%.0f,"p90_us":%.0f,"p99_us":%.0f,"p999_us":%.0f,"max_us":%.0f,' ..
    '"connect":%.0f,"read":%.0f,"write":%.0f,"timeout":%.0f,"status":%.0f}\n',
    summary.duration, summary.requests, summary.bytes,
    latency.min, latency.mean, latency.stdev,
    latency:percentile(50), latency:percentile(90), latency:percentile(99),
    latency:percentile(99.9), latency.max,
    e.connect, e.read, e.write, e.timeout, e.status))
end
