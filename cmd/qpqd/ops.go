package main

import (
	"net/http"
	"net/http/pprof"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/quicproquo/node/nodeservice"
)

// nodeMetrics shows what a Service counted. It names operations, codes and
// versions only: nothing about who talks to whom.
type nodeMetrics struct {
	service  *nodeservice.Service
	requests *prometheus.Desc
	legacy   *prometheus.Desc
}

func newNodeMetrics(service *nodeservice.Service) *nodeMetrics {
	return &nodeMetrics{
		service: service,
		requests: prometheus.NewDesc("qpqd_requests_total",
			"Requests by operation and error code (ok: done).", []string{"operation", "code"}, nil),
		legacy: prometheus.NewDesc("qpqd_legacy_uses_total",
			"Calls without a channel, by the client's schema version.", []string{"version"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *nodeMetrics) Describe(descs chan<- *prometheus.Desc) {
	descs <- m.requests
	descs <- m.legacy
}

// Collect implements prometheus.Collector.
func (m *nodeMetrics) Collect(metrics chan<- prometheus.Metric) {
	for _, c := range m.service.Counters() {
		code := string(c.Code)
		if code == "" {
			code = "ok"
		}
		metrics <- prometheus.MustNewConstMetric(m.requests, prometheus.CounterValue, float64(c.Count), c.Operation, code)
	}
	for version, uses := range m.service.LegacyUses() {
		metrics <- prometheus.MustNewConstMetric(m.legacy, prometheus.CounterValue, float64(uses), strconv.Itoa(version))
	}
}

// opsHandler serves what operators look at: what was counted, of the process too.
// A profile shows memory, and so secrets: pprof is there on loopback only.
func opsHandler(local bool, counted ...prometheus.Collector) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	registry.MustRegister(counted...)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	if local {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}
