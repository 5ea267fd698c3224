package metrics

import "github.com/prometheus/client_golang/prometheus"

var (
	diskBytes = prometheus.NewDesc("warren_node_disk_bytes", "Size of the filesystem that holds this node's volumes.", nil, nil)
	diskFree  = prometheus.NewDesc("warren_node_disk_free_bytes", "Bytes that are free on the filesystem that holds this node's volumes.", nil, nil)
)

// Disk is a collector of the space on this node, which it asks for at each
// scrape.
type Disk func() (total, free uint64, err error)

// Describe implements prometheus.Collector.
func (Disk) Describe(ch chan<- *prometheus.Desc) {
	ch <- diskBytes
	ch <- diskFree
}

// Collect implements prometheus.Collector.
func (d Disk) Collect(ch chan<- prometheus.Metric) {
	total, free, err := d()
	if err != nil {
		ch <- prometheus.NewInvalidMetric(diskBytes, err)
		return
	}
	ch <- prometheus.MustNewConstMetric(diskBytes, prometheus.GaugeValue, float64(total))
	ch <- prometheus.MustNewConstMetric(diskFree, prometheus.GaugeValue, float64(free))
}
