package main_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/nats-io/nats.go"
	"github.com/rogpeppe/go-internal/txtar"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy/delivery"
	"github.com/attune-calls/attune/telemetry"
)

// validReport is a report of a call that has just ended.
func validReport() []byte {
	r := telemetry.Report{
		Schema: telemetry.SchemaVersion, Stack: telemetry.StackVersion, Hour: telemetry.HourOf(time.Now()), Origin: telemetry.OriginCall,
		Context: model.Context{Network: model.NetworkWiFi}, Stage: model.StageEnded, Duration: telemetry.ScaleDuration.Bucket(4),
		Segments: []model.Segment{{
			Cause: model.CauseStart, Context: model.Context{Network: model.NetworkWiFi}, Action: model.DefaultAction(),
			Propensity: model.PropensityScale, Policy: 1, Seconds: 4, Outcome: model.Outcome{MOS: 40},
		}},
	}
	_, _ = rand.Read(r.ID[:])
	data, err := r.AppendMarshal(nil)
	if err != nil {
		panic(err)
	}
	return data
}

// with adds a field of text that no schema knows to an encoded report.
func with(report []byte, field protowire.Number, text string) []byte {
	return protowire.AppendString(protowire.AppendTag(report, field, protowire.BytesType), text)
}

// plantNATS has clients at addresses of their own connect under names, report with more than they should, and misbehave.
func (s *canarySite) plantNATS() {
	for i := range canaryCounts[canaryLoopback] {
		if err := s.client(i); err != nil {
			s.t.Errorf("client %d: %v", i, err)
			return
		}
	}
}

func (s *canarySite) client(i int) error {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(s.plant(canaryLoopback, "NATS connection"))}, Timeout: 5 * time.Second}
	conn, err := nats.Connect(s.backends.NATSURL, nats.Dialer(dialer), nats.NoReconnect(), nats.Name(s.plant(canaryName, "NATS client name")),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		return err
	}
	defer conn.Close()
	report := nats.NewMsg([]string{telemetry.Subject, telemetry.EdgeSubject}[i%2])
	report.Header.Set("From", s.plant(canaryEmail, "NATS header"))
	report.Header.Set("X-Forwarded-For", s.plant(canaryIPv6, "NATS header"))
	report.Header.Set("P-Asserted-Identity", s.plant(canaryPhone, "NATS header"))
	report.Header.Set("User-Agent", s.plant(canaryName, "NATS header"))
	if i%4 == 0 {
		report.Header.Set(nats.MsgIdHdr, s.plant(canaryDevice, "Nats-Msg-Id"))
	}
	report.Data = validReport()
	for field, kind := range map[protowire.Number]canaryKind{2000: canarySDP, 2001: canaryCandidate, 2002: canaryUfrag, 2003: canaryIPv4} {
		report.Data = with(report.Data, field, s.plant(kind, "unknown field of a valid report"))
	}
	if i%4 == 3 { // text where a report should be
		report.Data = []byte(s.plant(canarySDP, "malformed report") + "\r\na=" + s.plant(canaryCandidate, "malformed report"))
	}
	if answer, err := conn.RequestMsg(report, 10*time.Second); err != nil {
		return fmt.Errorf("report on %s: %w", report.Subject, err)
	} else if !strings.Contains(string(answer.Data), telemetry.Stream) {
		return fmt.Errorf("report on %s: answered %s", report.Subject, answer.Data)
	}
	if i%5 != 0 {
		return nil
	}
	// What is refused, and could be logged.
	token := strings.NewReplacer(" ", "_", ".", "_").Replace
	if err := conn.Publish("calls.v1."+token(s.plant(canaryPhone, "NATS subject")), []byte(s.plant(canaryName, "refused message"))); err != nil {
		return err
	}
	if _, err := conn.SubscribeSync("calls." + token(s.plant(canaryEmail, "NATS subscription"))); err != nil {
		return err
	}
	if err := conn.Flush(); err != nil {
		return err
	}
	stranger, err := nats.Connect(s.backends.NATSURL, nats.Dialer(dialer), nats.NoReconnect(),
		nats.UserInfo(s.plant(canaryUser, "NATS user"), s.plant(canaryPassword, "NATS password")))
	if err == nil {
		stranger.Close()
		return errors.New("a stranger got in")
	}
	raw, err := dialer.Dial("tcp", strings.TrimPrefix(s.backends.NATSURL, "nats://"))
	if err != nil {
		return err
	}
	defer func() { _ = raw.Close() }()
	_ = raw.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = fmt.Fprintf(raw, "GET /%s SIP/2.0\r\nFrom: %s\r\n\r\n", s.plant(canaryDevice, "nonsense to NATS"), s.plant(canaryPhone, "nonsense to NATS"))
	_, _ = io.Copy(io.Discard, raw) // until the server hangs up
	return nil
}

// plantRest sends what is left as headers and text of malformed reports.
func (s *canarySite) plantRest() {
	conn, err := nats.Connect(s.backends.NATSURL)
	if err != nil {
		s.t.Error(err)
		return
	}
	defer conn.Close()
	const where = "malformed report"
	for _, one := range s.canaries.all {
		if len(one.planted) > 0 {
			continue
		}
		one.planted = append(one.planted, where)
		report := &nats.Msg{Subject: telemetry.Subject, Header: nats.Header{"From": {one.text}}, Data: []byte(one.text)}
		if _, err := conn.RequestMsg(report, 10*time.Second); err != nil {
			s.t.Error(err)
		}
	}
}

// plantClickHouse has strangers and people with quota keys ask for things.
func (s *canarySite) plantClickHouse() {
	own, err := clickhouse.ParseDSN(s.backends.DSN)
	if err != nil {
		s.t.Error(err)
		return
	}
	for i := range 5 {
		options := *own
		options.ClientInfo.Products = append(options.ClientInfo.Products, struct{ Name, Version string }{s.plant(canaryName, "ClickHouse client name"), "1"})
		if i > 2 {
			options.Auth.Username, options.Auth.Password = s.plant(canaryUser, "ClickHouse user"), s.plant(canaryPassword, "ClickHouse password")
		}
		conn, err := clickhouse.Open(&options)
		if err != nil {
			s.t.Error(err)
			continue
		}
		ctx := clickhouse.Context(s.t.Context(), clickhouse.WithQuotaKey(s.plant(canaryIPv4, "ClickHouse quota key")), clickhouse.WithQueryID(s.plant(canaryDevice, "ClickHouse query id")))
		_ = conn.Exec(ctx, "SELECT '"+s.plant(canaryPhone, "query")+"'") // some may not
		if err := conn.Exec(ctx, "SELECT '"+s.plant(canaryEmail, "query with a mistake")+"' FROM nowhere"); err == nil {
			s.t.Error("a query of nothing succeeded")
		}
		_ = conn.Close()
	}
}

// plantImport imports a recording full of what must not be imported.
func (s *canarySite) plantImport(scripts string) {
	archive, err := txtar.ParseFile(filepath.Join(scripts, "import.txtar"))
	if err != nil {
		s.t.Error(err)
		return
	}
	const where = "imported recording"
	recent := time.Now().Add(-24 * time.Hour).UTC().Format(time.DateOnly)
	replace := strings.NewReplacer("2026-11-20", recent, "203.0.113.77", s.plant(canaryIPv4, where), "anna", s.plant(canaryEmail, where),
		`"T-selected`, fmt.Sprintf(`"X-%s":{"startTime":"2026-11-20T09:30:01Z","values":"[\"%s\"]","statsType":"%s"},"T-selected`,
			s.plant(canaryDevice, where), s.plant(canaryPhone, where), s.plant(canaryCandidate, where)),
		`"url":`, fmt.Sprintf(`"rtcConfiguration":"turn:%s %s %s","sdp":"%s","url":`,
			s.plant(canaryIPv6, where), s.plant(canaryUser, where), s.plant(canaryPassword, where), s.plant(canarySDP, where)))
	dump := filepath.Join(s.etc, "call of "+s.plant(canaryName, "name of a recording")+".json")
	if err := os.WriteFile(dump, []byte(replace.Replace(string(archive.Files[0].Data))), 0o600); err != nil {
		s.t.Error(err)
		return
	}
	// Its output names the file, to the person who named it: it goes where nobody looks.
	command := s.command("import", "import", "--nats", s.backends.NATSURL, "--region", "DE", dump)
	var said strings.Builder
	command.Stdout, command.Stderr = &said, &said
	if err := command.Run(); err != nil || !strings.Contains(said.String(), "1 reports with 7 segments") {
		s.t.Errorf("import: %v: %s", err, said.String())
	}
}

// plantMirror fetches the policy from a web server that sets headers, as a client whose proxy sets some too.
func (s *canarySite) plantMirror(root []byte) {
	const where = "HTTP header of the policy mirror"
	files := http.FileServer(http.Dir(filepath.Join(s.config.Data, "policy")))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "id="+s.plant(canaryDevice, where))
		w.Header().Set("X-Client-Address", s.plant(canaryIPv6, where))
		w.Header().Set("ETag", `"`+s.plant(canaryUfrag, where)+`"`)
		w.Header().Set("X-User", s.plant(canaryName, where))
		files.ServeHTTP(w, r)
	}))
	defer server.Close()
	endpoint, err := delivery.OpenEndpoint(server.URL)
	if err != nil {
		s.t.Error(err)
		return
	}
	client, err := delivery.NewClient(delivery.ClientConfig{Root: root, Cache: s.path("clients", "by-http"), Endpoints: []delivery.Endpoint{endpoint}})
	if err == nil {
		err = errors.Join(client.Refresh(s.t.Context()), client.Close())
	}
	if err != nil || client.Current().Version() != 1 {
		s.t.Errorf("policy %d from the mirror: %v", client.Current().Version(), err)
	}
}

// plantSpool leaves reports of calls with a client that never gets through.
func (s *canarySite) plantSpool() {
	address := s.plant(canaryUser, "NATS URL") + ":" + s.plant(canaryPassword, "NATS URL")
	conn, err := telemetry.Connect(s.t.Context(), "nats://"+address+"@127.0.0.1:1", "attune-client", s.log)
	if err != nil {
		s.t.Error(err)
		return
	}
	defer conn.Close()
	js, err := telemetry.NewPublisher(conn)
	if err != nil {
		s.t.Error(err)
		return
	}
	reporter, err := telemetry.NewReporter(telemetry.ReporterConfig{Enabled: true, Publisher: js, Spool: s.path("clients", "offline", "spool"), Logger: s.log})
	if err != nil {
		s.t.Error(err)
		return
	}
	s.interceptRTP(reporter)
	if err := reporter.Close(s.t.Context()); err != nil {
		s.t.Error(err)
	}
	if info, err := os.Stat(s.path("clients", "offline", "spool")); err != nil || info.Size() == 0 {
		s.t.Errorf("nothing is spooled: %v", err)
	}
}

// sendPlain sends reports enough to train on, by a device like any other.
func (s *canarySite) sendPlain(n int) {
	d := s.device()
	for i := range n {
		call := d.Reporter.Call(model.Context{Network: model.Network4G}, telemetry.OriginCall)
		call.Record(model.Segment{
			Cause: model.CauseStart, Action: model.DefaultAction(), Propensity: model.PropensityScale, Policy: 1,
			Seconds: 4, Outcome: model.Outcome{MOS: model.Bucket(1 + i%60)},
		})
		call.Stage(model.StageEnded)
		if i%3 == 0 {
			call.Rate(uint8(1+i%5), 1<<(i%8))
		}
		call.End(false)
	}
	s.retire(d)
}
