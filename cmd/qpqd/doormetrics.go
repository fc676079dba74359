package main

import (
	"context"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/quicproquo/node/gateway"
	"github.com/quicproquo/node/nodeservice/noderpc"
)

// doorMetrics shows what a Gateway counted: routes as the contract names them, and
// so nothing about whose channels and identities they are.
type doorMetrics struct {
	gateway  *gateway.Gateway
	requests *prometheus.Desc
	streams  *prometheus.Desc
}

func newDoorMetrics(g *gateway.Gateway) *doorMetrics {
	return &doorMetrics{
		gateway: g,
		requests: prometheus.NewDesc("qpqd_http_requests_total",
			"Answers of the HTTP gateway by method, route and status; streams count when they begin.",
			[]string{"method", "route", "status"}, nil),
		streams: prometheus.NewDesc("qpqd_http_streams", "Open streams of the HTTP gateway.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *doorMetrics) Describe(descs chan<- *prometheus.Desc) {
	descs <- m.requests
	descs <- m.streams
}

// Collect implements prometheus.Collector.
func (m *doorMetrics) Collect(metrics chan<- prometheus.Metric) {
	for _, c := range m.gateway.Counts() {
		metrics <- prometheus.MustNewConstMetric(m.requests, prometheus.CounterValue, float64(c.Total),
			c.Method, c.Route, strconv.Itoa(c.Status))
	}
	metrics <- prometheus.MustNewConstMetric(m.streams, prometheus.GaugeValue, float64(m.gateway.Streams()))
}

// newLinkMetric shows whether a gateway that stands apart has its node.
func newLinkMetric(node *noderpc.GatewayNode) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "qpqd_node_connected", Help: "Whether the gateway is connected to its node (1) or not (0).",
	}, func() float64 {
		now, cancel := context.WithCancel(context.Background())
		cancel() // ask, and do not wait
		if node.Connected(now) != nil {
			return 0
		}
		return 1
	})
}
