package proxy

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/cache/store"
	"milepost/internal/config"
	"milepost/metrics"
	"milepost/proxy/upstream"
	"milepost/stream"
)

// A pair is a server with the embedded store, and in front of it another one as
// its sidecar, which the test talks to. Every test of the API runs through it as
// well, by the same function, and must see the same.
const pairTest = "TestThroughASidecar"

// apart are the tests that see something else through a sidecar, or need not run
// twice, and why. A test
// that is not named runs in both modes of upstream.auth.
var apart = map[string]struct{ forward, local string }{
	"DeletedJobIsNotServedFromMemory":  {outlives, outlives},
	"DeletedJobEndsItsStreams":         {outlives, outlives},
	"ReloadEndsStreams":                {noKeys, ""},
	"TicketStreamsBelongToTheKey":      {noKeys, ""},
	"StreamResumes":                    {"", oneTenant},
	"ForgedTickets":                    {sealed, ""},
	"TicketLife":                       {noKeys, oneTenant},
	"BodiesDoNotShowInEachOther":       {"", sameWay},
	"HostileBodies":                    {"", sameWay},
	"LargePageIsStreamedWhole":         {"", sameWay},
	"Preflight":                        {"", sameWay},
	"StreamsOrderOfChecks":             {nothingToAsk, oneTenant},
	"TicketOrderOfChecks":              {nothingToAsk, oneTenant},
	"Errors":                           {"", oneTenant},
	"AnswersOfAllSizesOnOneConnection": {"", oneTenant},
	"StreamOrderOfChecks":              {"", oneTenant},
	"StreamWaitsForAJob":               {"", oneTenant},
	"StreamsWaitForJobs":               {"", oneTenant},
}

const (
	outlives     = "what was accepted is served from the copy without asking for it again"
	noKeys       = "the keys are the upstream's: TestRevokedKeyLosesItsStreams and TestForwardedTickets take the place of a reload"
	nothingToAsk = "without a job there is nothing to ask the upstream about, so a fault of the request comes before 401 and 403"
	sealed       = "a ticket has the credential in it; TestForgedSidecarTickets forges that one"
	sameWay      = "who the caller is makes no difference, and it takes long"
	oneTenant    = "all local keys see what the sidecar's own key sees; there are no organizations"
)

// pairTests are the tests of the API.
var pairTests = []struct {
	name string
	run  func(*testing.T)
}{
	{"TraceReadsBackByteForByte", TestTraceReadsBackByteForByte},
	{"Errors", TestErrors},
	{"FaultsNameTheirPlace", TestFaultsNameTheirPlace},
	{"ListPages", TestListPages},
	{"IdempotencyKey", TestIdempotencyKey},
	{"EntityTags", TestEntityTags},
	{"DeletedJobIsNotServedFromMemory", TestDeletedJobIsNotServedFromMemory},
	{"RateLimit", TestRateLimit},
	{"ConcurrentWritersGetDenseSequences", TestConcurrentWritersGetDenseSequences},
	{"LargePageIsStreamedWhole", TestLargePageIsStreamedWhole},
	{"FilterOnStoredCheckpoints", TestFilterOnStoredCheckpoints},
	{"BodiesDoNotShowInEachOther", TestBodiesDoNotShowInEachOther},
	{"BodyInChunksIsLimited", TestBodyInChunksIsLimited},
	{"Preflight", TestPreflight},
	{"PagesReadAnswers", TestPagesReadAnswers},
	{"AnswersOfAllSizesOnOneConnection", TestAnswersOfAllSizesOnOneConnection},
	{"HostileBodies", TestHostileBodies},
	{"HostileHeads", TestHostileHeads},
	{"PathsCannotBeSmuggled", TestPathsCannotBeSmuggled},
	{"StreamOrderOfChecks", TestStreamOrderOfChecks},
	{"StreamOnTheWire", TestStreamOnTheWire},
	{"StreamHead", TestStreamHead},
	{"StreamFromTheBeginningToTheEnd", TestStreamFromTheBeginningToTheEnd},
	{"StreamResumes", TestStreamResumes},
	{"StreamWaitsForAJob", TestStreamWaitsForAJob},
	{"StreamLimits", TestStreamLimits},
	{"DrainingServerRefusesStreams", TestDrainingServerRefusesStreams},
	{"ReloadEndsStreams", TestReloadEndsStreams},
	{"StreamsCountAsConnections", TestStreamsCountAsConnections},
	{"ConnectionBreaksBeforeTheStreamBegins", TestConnectionBreaksBeforeTheStreamBegins},
	{"DeletedJobEndsItsStreams", TestDeletedJobEndsItsStreams},
	{"StreamsOrderOfChecks", TestStreamsOrderOfChecks},
	{"StreamsOfAHundredJobs", TestStreamsOfAHundredJobs},
	{"StreamsResume", TestStreamsResume},
	{"StreamsWaitForJobs", TestStreamsWaitForJobs},
	{"TicketOrderOfChecks", TestTicketOrderOfChecks},
	{"TicketLife", TestTicketLife},
	{"ForgedTickets", TestForgedTickets},
	{"SecretsAreNotLogged", TestSecretsAreNotLogged},
	{"TicketStreamsBelongToTheKey", TestTicketStreamsBelongToTheKey},
}

func TestThroughASidecar(t *testing.T) {
	for _, auth := range []string{"forward", "local", "spool"} {
		t.Run(auth, func(t *testing.T) {
			for _, test := range pairTests {
				why := apart[test.name].forward
				if auth != "forward" {
					why = apart[test.name].local
				}
				if why == "" {
					t.Run(test.name, test.run)
				}
			}
		})
	}
}

// pairOf returns upstream.auth of the pair that a test runs through, "spool" for
// "local" with upstream.writes "spool", or nothing.
func pairOf(t testing.TB) string {
	rest, ok := strings.CutPrefix(t.Name(), pairTest+"/")
	if !ok {
		return ""
	}
	auth, _, _ := strings.Cut(rest, "/")
	return auth
}

// startPair starts a pair. cfg is that of both but for what makes a sidecar.
func startPair(t testing.TB, fs vfs.FS, cfg *config.Config, auth string) *api {
	t.Helper()
	behind := *cfg
	behind.Server.CORSOrigins, behind.Server.RateLimit = nil, 0
	behind.Stream.MaxSubscribers, behind.Stream.MaxSubscribersPerKey, behind.Stream.MaxSubscribersPerJob = 0, 0, 0
	up := startServer(t, fs, "upstream", &behind, nil)
	a := startFront(t, fs, cfg, auth, up)
	stop := a.stop
	a.stop = sync.OnceFunc(func() { stop(); up.stop() })
	return a
}

// startFront starts a sidecar in front of a server.
func startFront(t testing.TB, fs vfs.FS, cfg *config.Config, auth string, up *api) *api {
	t.Helper()
	if auth == "spool" {
		auth, cfg.Upstream.Writes = "local", "spool"
	}
	cfg.Upstream.URL, cfg.Upstream.Auth = up.base, auth
	if auth == "local" {
		cfg.Upstream.APIKey = config.Secret(keyA)
	}
	return startServer(t, fs, "sidecar", cfg, up)
}

// sidecarOf makes what the configuration of a server in front of an upstream asks
// for, nil if it is in front of none.
func sidecarOf(t testing.TB, cfg *config.Config, s *store.Store, m *metrics.Metrics, log *slog.Logger, o *stream.Options) *SidecarOptions {
	t.Helper()
	u := &cfg.Upstream
	if u.URL == "" {
		return nil
	}
	authorization := ""
	if u.Auth == "local" {
		authorization = "Bearer " + u.APIKey.Reveal()
	}
	client, err := upstream.New(upstream.Options{
		URL: u.URL, Authorization: authorization,
		ConnectTimeout: u.ConnectTimeout.Std(), HeaderTimeout: u.HeaderTimeout.Std(), RequestTimeout: u.RequestTimeout.Std(),
		MaxIdle: u.MaxIdle, Retries: u.Retries, BreakerFailures: u.BreakerFailures, BreakerWait: u.MaxBackoff.Std(),
		MaxAnswer: int64(u.MaxEvent), Metrics: m.Upstream, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	var spool *store.Spool
	if u.Auth == "local" {
		if spool, err = store.OpenSpool(s, int64(u.SpoolMax)); err != nil {
			t.Fatal(err)
		}
		m.RegisterSpool(func() metrics.SpoolFigures { return metrics.SpoolFigures(spool.Figures()) })
	}
	source := new(Source)
	o.Source, o.History = source, source.History(o.History)
	return &SidecarOptions{
		Client: client, Config: u, Source: source, Spool: spool,
		Verdicts: upstream.NewVerdicts(s.Verdicts(), u.AuthTTL.Std(), u.StaleAuth.Std(), time.Now),
		Follow: upstream.FollowOptions{
			Idle: u.StreamIdle.Std(), Linger: u.Linger.Std(), GiveUp: u.GiveUp.Std(), MaxBackoff: u.MaxBackoff.Std(),
			MaxEvent: int64(u.MaxEvent), Metrics: m.Upstream, Logger: log,
		},
	}
}
