// Package config reads the configuration of Milepost: a TOML file, the
// environment and the flags of the command line, in rising precedence, over
// defaults that each have a reason.
//
// It is strict. An unknown key, a value of the wrong type, one out of range and
// a contradiction between two keys are faults, and Load reports all of them at
// once, each with the place where it was written.
//
// The comments of the fields below are also the comments of config.example.toml,
// which a test holds equal to them and to Default.
package config

import "time"

// Config is the whole configuration. A Config that Load returned is valid;
// nothing changes it afterwards.
//
// The struct tags of a key: toml is its name; min and max bound its value, both
// inclusive; enum lists the values it may have; reload:"yes" marks what a
// running server takes over on SIGHUP.
type Config struct {
	// The HTTP face: where it listens, and what one caller, or all of them
	// together, may take of it.
	Server Server `toml:"server"`

	// Where checkpoints live, and for how long.
	Store Store `toml:"store"`

	// The hot tier: answers kept in memory. The store is complete without it.
	Cache Cache `toml:"cache"`

	// Watching a job over server-sent events.
	Stream Stream `toml:"stream"`

	// What the server knows of the experts that checkpoints name.
	Experts Experts `toml:"experts"`

	// What tokens cost. Without a price no cost is shown.
	Prices Prices `toml:"prices"`

	// Running as a sidecar in front of another checkpoints API.
	Upstream Upstream `toml:"upstream"`

	// The log, on standard error.
	Log Log `toml:"log"`

	// Who may call.
	Auth Auth `toml:"auth"`

	// APIKey is MILEPOST_API_KEY: the secret of the default key that is
	// otherwise made at random at the first start without any auth.keys. Empty
	// if the variable is not set. It has no key in the file.
	APIKey Secret `toml:"-"`
}

// Server is the section [server].
type Server struct {
	// Address of the API: host:port, or unix:/path for a socket. Only this
	// machine by default, because keys travel in clear text without TLS.
	Listen string `toml:"listen"`

	// Address of health, metrics and profiling, in the same form; "" turns it
	// off. Profiles show memory contents, so keep it off the network.
	AdminListen string `toml:"admin_listen"`

	// Largest request body; beyond it 413. A checkpoint repeats all messages of
	// its run, and long runs with images reach tens of megabytes.
	MaxBody Size `toml:"max_body" min:"1KiB" max:"1GiB" reload:"yes"`

	// Certificate chain in PEM. With tls_key the API speaks HTTPS; "" is plain
	// HTTP, for a loopback address or behind a proxy that ends TLS.
	TLSCert string `toml:"tls_cert"`

	// Private key in PEM that belongs to tls_cert.
	TLSKey string `toml:"tls_key"`

	// Largest request head (request line and headers); beyond it 431. It is also
	// the read buffer of every connection, so it counts max_connections times.
	MaxHeader Size `toml:"max_header" min:"4KiB" max:"1MiB"`

	// Connections open at once, streams included. Room for the 10,000 watchers
	// of one job that the server is built for, and half as much again.
	MaxConnections int `toml:"max_connections" min:"1" max:"1000000" reload:"yes"`

	// Requests at once that hold a body or a page in memory. Far more than keep
	// the disk busy; the next ones wait for queue_timeout.
	MaxRequests int `toml:"max_requests" min:"1" max:"1000000" reload:"yes"`

	// How long a request waits for its turn under the limits on requests and
	// bytes in flight before it gets 503. Long enough for a burst to pass, short
	// enough that a client's own retry is the better queue.
	QueueTimeout Duration `toml:"queue_timeout" min:"0s" max:"1m" reload:"yes"`

	// Request bodies in memory at once, all together: four of the largest. Not
	// below max_body, or the largest body could never be read.
	MaxBodyBytes Size `toml:"max_body_bytes" min:"1KiB" max:"1TiB" reload:"yes"`

	// Bytes of list pages in flight at once, all together. A page of a hundred
	// large checkpoints is big, and its reader may be slow.
	MaxListBytes Size `toml:"max_list_bytes" min:"1MiB" max:"1TiB" reload:"yes"`

	// Time to send the request head, and the same again to begin the body;
	// beyond it 408 and the end of the connection. Ample on any working line.
	ReadTimeout Duration `toml:"read_timeout" min:"100ms" max:"1h"`

	// Bytes a second that a client must reach on average while it sends a body,
	// once read_timeout is over. A large body may thus take its time on a slow
	// line, but a trickle cannot hold a place for ever. "0B" turns it off.
	MinBodyRate Size `toml:"min_body_rate" min:"0B" max:"1GiB" reload:"yes"`

	// How long writing a response may go without any progress before the
	// connection is closed. A slow reader makes progress; a dead one does not.
	WriteTimeout Duration `toml:"write_timeout" min:"100ms" max:"1h"`

	// How long an idle keep-alive connection stays open. More than the 60 s that
	// most proxies in front keep theirs, so that they close first.
	IdleTimeout Duration `toml:"idle_timeout" min:"100ms" max:"24h"`

	// Requests a second that one key may make on average; beyond it 429. 0 turns
	// it off, because a runtime that is refused a write has to stop its job.
	RateLimit int `toml:"rate_limit" min:"0" max:"1000000" reload:"yes"`

	// Requests that a key may make at once after a pause, under rate_limit. 0 is
	// twice rate_limit: two seconds' worth.
	RateBurst int `toml:"rate_burst" min:"0" max:"10000000" reload:"yes"`

	// How long SIGTERM waits for requests in flight before it cuts them off.
	// With drain_spread it stays within the 10 s of "docker stop".
	DrainTimeout Duration `toml:"drain_timeout" min:"0s" max:"1h"`

	// Time over which open streams are ended on SIGTERM, one after another, so
	// that their clients do not all come back in the same instant.
	DrainSpread Duration `toml:"drain_spread" min:"0s" max:"1h"`

	// Origins of web pages that may call the API from a browser, such as
	// "https://dash.example.com", or "*" for any. None by default, because a page
	// that holds a key should be one that you named.
	CORSOrigins []string `toml:"cors_origins" reload:"yes"`

	// Longest that a filtered list may search through its job. Only a filter
	// reads every checkpoint, so only it can take long.
	ScanTimeout Duration `toml:"scan_timeout" min:"10ms" max:"10m" reload:"yes"`
}

// Store is the section [store].
type Store struct {
	// Directory of the data, made at the first start, relative to the working
	// directory. One server at a time may have it open.
	Dir string `toml:"dir"`

	// Free space on its file system below which writes answer 507 while reads go
	// on. The storage engine cannot survive a full disk; this is room for its
	// compactions to finish. "0B" turns it off.
	MinFree Size `toml:"min_free" min:"0B" max:"1PiB"`

	// Size of a file that only occupies space. When the disk is full all the
	// same, it is given up, and what it frees lets the server close properly and
	// the operator delete something. "0B" for none.
	Ballast Size `toml:"ballast" min:"0B" max:"1TiB"`

	// How often free space is measured. At a second a fast disk writes less
	// between two looks than min_free holds; looking costs one system call.
	CheckInterval Duration `toml:"check_interval" min:"10ms" max:"1m"`

	// Age, counted from its end, at which a whole job is deleted. "0s" keeps
	// jobs for ever: deleting is your decision.
	RetentionAge Duration `toml:"retention_age" min:"0s"`

	// Total stored bytes beyond which the jobs that ended first are deleted.
	// "0B" sets no bound: deleting is your decision.
	RetentionSize Size `toml:"retention_size" min:"0B" max:"1PiB"`

	// A job without a write for this long counts as ended for retention, because
	// a runtime that crashed never ends its job. No tool call takes a day.
	AbandonAfter Duration `toml:"abandon_after" min:"1s"`

	// How often retention looks for something to delete. Ages are days, so a
	// minute more does not matter.
	RetentionInterval Duration `toml:"retention_interval" min:"10ms" max:"24h"`

	// Memory for blocks that the storage engine has read from disk. Enough for
	// the indexes of millions of checkpoints; answers have the [cache].
	BlockCache Size `toml:"block_cache" min:"1MiB" max:"1TiB"`

	// Memory in which the storage engine gathers writes before it sorts them to
	// disk; there are two at most times, four when the disk lags. Measured, 4 MiB
	// took half the small writes that 64 MiB did, with a far longer tail, and 32
	// MiB took as many.
	Memtable Size `toml:"memtable" min:"1MiB" max:"2GiB"`

	// Memory for the last body of each job that is being written. The next
	// body mostly repeats it, and comparing with memory is the quick way to find
	// what is new. "0B" turns it off; it costs time, not correctness.
	AppendMemory Size `toml:"append_memory" min:"0B" max:"1TiB"`
}

// Cache is the section [cache].
type Cache struct {
	// Memory for answers that were given lately, by their bytes; the process may
	// take about twice as much under churn. "0B" turns it off.
	Size Size `toml:"size" min:"0B" max:"1TiB"`
}

// Stream is the section [stream].
type Stream struct {
	// A comment goes to a quiet stream this often, so that proxies with an idle
	// timeout of 30 s or more keep it open and a dead client is noticed.
	Heartbeat Duration `toml:"heartbeat" min:"100ms" max:"10m"`

	// A subscriber that takes no byte at all for this long is closed. One that is
	// merely slow is never closed: it reads at its own pace.
	StallTimeout Duration `toml:"stall_timeout" min:"100ms" max:"1h"`

	// What a stream of a job without any checkpoint does: "reject" answers 404;
	// "wait" holds it open until the first one comes, for a dashboard that is
	// opened before its runtime starts. A mistyped id should not wait for ever.
	// In front of an upstream, "wait" asks that again every few seconds, for each
	// credential and job that waits.
	UnknownJob string `toml:"unknown_job" enum:"reject|wait"`

	// Streams open at once; beyond it 503. A stream takes less than 1 KB, so the
	// bound is server.max_connections unless you set a lower one here; 0 for none.
	MaxSubscribers int `toml:"max_subscribers" min:"0" max:"1000000" reload:"yes"`

	// Streams open at once with one key; beyond it 429. 0 for none, because most
	// installations give all dashboards one key.
	MaxSubscribersPerKey int `toml:"max_subscribers_per_key" min:"0" max:"1000000" reload:"yes"`

	// Streams open at once on one job; beyond it 503. 0 for none: another
	// subscriber of a job costs less than one of another job.
	MaxSubscribersPerJob int `toml:"max_subscribers_per_job" min:"0" max:"1000000" reload:"yes"`

	// Age at which a stream is ended, at a random 80 to 100 % of it, so that its
	// client comes back, perhaps to another server. "0s" never does.
	MaxLifetime Duration `toml:"max_lifetime" min:"0s" max:"8760h"`

	// Memory for the latest events of all watched jobs, shared by all their
	// subscribers, and as much again for what those read who are behind. Each job
	// keeps its last event whatever the bound.
	Buffer Size `toml:"buffer" min:"1MiB" max:"1TiB"`

	// Send buffer of a stream's socket; the kernel takes about twice as much. It
	// bounds what a stalled reader pins, and on long lines also the speed: this
	// much is under way at most.
	SendBuffer Size `toml:"send_buffer" min:"8KiB" max:"16MiB"`

	// How long a ticket for a browser's stream serves reconnects, from its issue.
	// A day is a working day with a night between; its key can be removed earlier.
	TicketTTL Duration `toml:"ticket_ttl" min:"1m" max:"8760h"`
}

// Experts is the section [experts].
type Experts struct {
	// "open" registers an expert at the first sight of its key, so that a runtime
	// works at once; "catalog" knows only those of the file below.
	Mode string `toml:"mode" enum:"open|catalog"`

	// JSON file of expert digests. Required with mode "catalog", and only then.
	Catalog string `toml:"catalog"`
}

// Prices is the section [prices].
type Prices struct {
	// The currency of all prices, as a code of three letters. It is shown beside
	// the amounts; nothing is converted.
	Currency string `toml:"currency" reload:"yes"`

	// What the tokens of experts cost, one [[prices.experts]] each. The price of
	// a key goes before that of the name alone, and that before "*". Tokens are
	// priced when they are shown: a new price holds for old jobs, too.
	Experts []Price `toml:"experts" reload:"yes"`
}

// Upstream is the section [upstream].
type Upstream struct {
	// Base URL of the API that this server stands in front of, such as
	// "https://api.example.com"; "" means that checkpoints live in this server's
	// own store. A data directory serves one or the other.
	URL string `toml:"url"`

	// "forward" passes each caller's own key on to the upstream, so that it alone
	// decides; "local" checks the keys below and uses api_key upstream.
	Auth string `toml:"auth" enum:"forward|local"`

	// The sidecar's own key for the upstream, with auth "local".
	APIKey Secret `toml:"api_key"`

	// What happens to a checkpoint that cannot be delivered: "through" refuses it with
	// 502, 503 or 504; "spool" accepts it here and delivers it later, in the order of
	// its job. That needs auth "local", so that no caller's key lies on disk.
	Writes string `toml:"writes" enum:"through|spool"`

	// Request bodies that may wait for the upstream, by their size as sent; beyond
	// it 503. Four hours of a runtime that posts 100 KB every second or two; on
	// disk they take less.
	SpoolMax Size `toml:"spool_max" min:"64KiB" max:"1TiB"`

	// How long the upstream's yes to a credential and a job holds: what it revokes
	// is served from the local copy for so long at most.
	AuthTTL Duration `toml:"auth_ttl" min:"1s" max:"24h"`

	// How long that yes lives on while the upstream cannot be reached, so that
	// dashboards survive an outage. "0s" gives nothing without the upstream.
	StaleAuth Duration `toml:"stale_auth" min:"0s" max:"168h"`

	// Certificates in PEM that the upstream's may be signed by; "" takes those of
	// the system.
	CA string `toml:"ca"`

	// Certificate, and below its private key, that the upstream asks for, in PEM.
	Cert string `toml:"cert"`

	// See cert.
	Key string `toml:"key"`

	// Time to connect to one address of the upstream.
	ConnectTimeout Duration `toml:"connect_timeout" min:"10ms" max:"10m"`

	// Time from a sent request to the head of its answer.
	HeaderTimeout Duration `toml:"header_timeout" min:"10ms" max:"1h"`

	// Time for a whole request to one of the four endpoints, retries included.
	RequestTimeout Duration `toml:"request_timeout" min:"10ms" max:"1h"`

	// Tries of a request that may be repeated, after the first.
	Retries int `toml:"retries" min:"0" max:"10"`

	// Failures in a row after which requests are refused at once, until one that
	// is let through succeeds. 0 never does that.
	BreakerFailures int `toml:"breaker_failures" min:"0" max:"1000"`

	// Idle connections that are kept open for the next request.
	MaxIdle int `toml:"max_idle" min:"1" max:"100000"`

	// Largest event of the upstream's streams, and largest answer that is held in
	// memory.
	MaxEvent Size `toml:"max_event" min:"64KiB" max:"1GiB"`

	// A stream of the upstream's without a byte for this long is cut and opened
	// anew. Three heartbeats of the usual 15 s.
	StreamIdle Duration `toml:"stream_idle" min:"100ms" max:"1h"`

	// How long the upstream's stream of a job stays open after the last subscriber
	// has left: a page that is reloaded finds it there.
	Linger Duration `toml:"linger" min:"0s" max:"1h"`

	// How long subscribers are kept while the upstream cannot be reached; then
	// their streams end with upstream_unavailable.
	GiveUp Duration `toml:"give_up" min:"1s" max:"24h"`

	// Longest wait between two tries to reach the upstream.
	MaxBackoff Duration `toml:"max_backoff" min:"10ms" max:"5m"`

	// Networks of proxies in front, such as "10.0.0.0/8", whose X-Forwarded-* and
	// Forwarded headers are passed on; those of others are replaced.
	TrustedProxies []string `toml:"trusted_proxies"`
}

// Log is the section [log].
type Log struct {
	// Least level that is written. "info" names starts, stops, reloads and
	// trouble, and stays silent about requests that went well.
	Level string `toml:"level" enum:"debug|info|warn|error" reload:"yes"`

	// "text" to read, "json" to collect.
	Format string `toml:"format" enum:"text|json"`
}

// Auth is the section [auth].
type Auth struct {
	// The keys that callers may use, one [[auth.keys]] each. Without any, the
	// first start makes one key with both scopes, stores its hash and prints it
	// once; MILEPOST_API_KEY sets that key instead. "milepost keys new" prints a
	// secret and the lines to put here.
	Keys []Key `toml:"keys" reload:"yes"`
}

// Default returns the configuration of an empty file, in a new Config.
func Default() *Config {
	return &Config{
		Server: Server{
			Listen:         "127.0.0.1:8080",
			AdminListen:    "127.0.0.1:9090",
			MaxBody:        64 * MiB,
			MaxHeader:      16 * KiB,
			MaxConnections: 16384,
			MaxRequests:    512,
			QueueTimeout:   Duration(time.Second),
			MaxBodyBytes:   256 * MiB,
			MaxListBytes:   256 * MiB,
			ReadTimeout:    Duration(30 * time.Second),
			MinBodyRate:    16 * KiB,
			WriteTimeout:   Duration(30 * time.Second),
			IdleTimeout:    Duration(2 * time.Minute),
			DrainTimeout:   Duration(5 * time.Second),
			DrainSpread:    Duration(5 * time.Second),
			CORSOrigins:    []string{},
			ScanTimeout:    Duration(10 * time.Second),
		},
		Store: Store{
			Dir:               "milepost-data",
			MinFree:           512 * MiB,
			Ballast:           64 * MiB,
			CheckInterval:     Duration(time.Second),
			AbandonAfter:      Duration(24 * time.Hour),
			RetentionInterval: Duration(time.Minute),
			BlockCache:        64 * MiB,
			Memtable:          32 * MiB,
			AppendMemory:      64 * MiB,
		},
		Cache: Cache{Size: 256 * MiB},
		Stream: Stream{Heartbeat: Duration(15 * time.Second), StallTimeout: Duration(30 * time.Second), UnknownJob: "reject",
			Buffer: 64 * MiB, SendBuffer: 64 * KiB, TicketTTL: Duration(24 * time.Hour)},
		Experts: Experts{Mode: "open"},
		Prices:  Prices{Currency: "USD"},
		Upstream: Upstream{
			Auth: "forward", Writes: "through", SpoolMax: GiB, AuthTTL: Duration(time.Minute), StaleAuth: Duration(10 * time.Minute),
			ConnectTimeout: Duration(5 * time.Second), HeaderTimeout: Duration(30 * time.Second), RequestTimeout: Duration(time.Minute),
			Retries: 2, BreakerFailures: 5, MaxIdle: 256, MaxEvent: 64 * MiB,
			StreamIdle: Duration(45 * time.Second), Linger: Duration(10 * time.Second), GiveUp: Duration(10 * time.Minute),
			MaxBackoff: Duration(5 * time.Second), TrustedProxies: []string{},
		},
		Log: Log{Level: "info", Format: "text"},
	}
}
