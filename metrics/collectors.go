package metrics

import (
	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// StoreFigures are what a scrape asks of the store.
type StoreFigures struct {
	FreeBytes   uint64
	LowSpace    bool
	WriteStalls int64
	Pebble      *pebble.Metrics
}

// CacheFigures are what a scrape asks of the hot tier.
type CacheFigures struct {
	Bytes, Limit     int64  // held, and allowed at most
	Drops, Evictions uint64 // sets not taken in; entries given up
}

// series is one figure of a collector.
type series[F any] struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*F) float64
}

// collector takes all its figures at once, at scrape time.
type collector[F any] struct {
	figures func() F
	series  []series[F]
}

func (c *collector[F]) add(kind prometheus.ValueType, name, help string, value func(*F) float64) {
	c.series = append(c.series, series[F]{
		prometheus.NewDesc(namespace+"_"+name, help, nil, nil), kind, value,
	})
}

// Describe implements prometheus.Collector.
func (c *collector[F]) Describe(ch chan<- *prometheus.Desc) {
	for _, s := range c.series {
		ch <- s.desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector[F]) Collect(ch chan<- prometheus.Metric) {
	f := c.figures()
	for _, s := range c.series {
		ch <- prometheus.MustNewConstMetric(s.desc, s.kind, s.value(&f))
	}
}

// RegisterStore adds the series of the store and of Pebble.
func (m *Metrics) RegisterStore(figures func() StoreFigures) {
	c := &collector[StoreFigures]{figures: figures}
	gauge, counter := prometheus.GaugeValue, prometheus.CounterValue
	c.add(gauge, "store_free_bytes", "Free space of the data directory's file system.",
		func(f *StoreFigures) float64 { return float64(f.FreeBytes) })
	c.add(gauge, "store_low_space", "1 while writes are refused for lack of disk space.",
		func(f *StoreFigures) float64 {
			if f.LowSpace {
				return 1
			}
			return 0
		})
	c.add(counter, "store_write_stalls_total", "Times that writes had to wait for the database.",
		func(f *StoreFigures) float64 { return float64(f.WriteStalls) })
	c.add(gauge, "store_disk_bytes", "Disk space that the database uses.",
		func(f *StoreFigures) float64 { return float64(f.Pebble.DiskSpaceUsage()) })
	c.add(counter, "store_wal_bytes_written_total", "Bytes written to the write-ahead log.",
		func(f *StoreFigures) float64 { return float64(f.Pebble.WAL.BytesWritten) })
	c.add(counter, "store_compactions_total", "Compactions of the database.",
		func(f *StoreFigures) float64 { return float64(f.Pebble.Compact.Count) })
	c.add(gauge, "store_compaction_debt_bytes", "Estimated bytes still to be compacted.",
		func(f *StoreFigures) float64 { return float64(f.Pebble.Compact.EstimatedDebt) })
	c.add(counter, "store_flushes_total", "Flushes of memtables.",
		func(f *StoreFigures) float64 { return float64(f.Pebble.Flush.Count) })
	c.add(gauge, "store_memtable_bytes", "Memory of the memtables.",
		func(f *StoreFigures) float64 { return float64(f.Pebble.MemTable.Size) })
	c.add(gauge, "store_block_cache_bytes", "Memory of the block cache in use.",
		func(f *StoreFigures) float64 { return float64(f.Pebble.BlockCache.Size) })
	c.add(counter, "store_block_cache_hits_total", "Blocks found in the block cache.",
		func(f *StoreFigures) float64 { return float64(f.Pebble.BlockCache.Hits) })
	c.add(counter, "store_block_cache_misses_total", "Blocks not found in the block cache.",
		func(f *StoreFigures) float64 { return float64(f.Pebble.BlockCache.Misses) })
	c.add(gauge, "store_read_amplification", "Tables that a read may have to look into.",
		func(f *StoreFigures) float64 { return float64(f.Pebble.ReadAmp()) })
	m.Registry.MustRegister(c)
}

// RegisterCache adds the series of the hot tier and of ristretto.
func (m *Metrics) RegisterCache(figures func() CacheFigures) {
	c := &collector[CacheFigures]{figures: figures}
	gauge, counter := prometheus.GaugeValue, prometheus.CounterValue
	c.add(gauge, "cache_bytes", "Bytes of responses in the hot tier.",
		func(f *CacheFigures) float64 { return float64(f.Bytes) })
	c.add(gauge, "cache_limit_bytes", "Bytes that the hot tier may hold.",
		func(f *CacheFigures) float64 { return float64(f.Limit) })
	c.add(counter, "cache_sets_dropped_total", "Responses that the hot tier did not take in.",
		func(f *CacheFigures) float64 { return float64(f.Drops) })
	c.add(counter, "cache_evictions_total", "Responses that the hot tier gave up.",
		func(f *CacheFigures) float64 { return float64(f.Evictions) })
	m.Registry.MustRegister(c)
}
