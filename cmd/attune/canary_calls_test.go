package main_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"

	"github.com/attune-calls/attune/codec/wav"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/training/lab"
	"github.com/attune-calls/attune/training/lab/client"
	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/vnet"
)

// buzz is two seconds of a tone that is no silence.
func buzz() []int16 {
	pcm := make([]int16, 2*48000)
	for i := range pcm {
		pcm[i] = int16(8000 * (i%320 - 160) / 160)
	}
	return pcm
}

// plantCalls makes real calls over virtual networks whose addresses are canaries, with canaries in the signalling.
func (s *canarySite) plantCalls() {
	var calls sync.WaitGroup
	for range 2 {
		calls.Go(func() {
			if err := s.call(); err != nil {
				s.t.Errorf("call: %v", err)
			}
		})
	}
	calls.Wait()
}

func (s *canarySite) call() (err error) {
	profile, err := network.Load("wifi")
	if err != nil {
		return err
	}
	lan := vnet.New(vnet.Config{Seed: 1})
	defer func() { err = errors.Join(err, lan.Close()) }()
	host, err := lan.AddHost(s.plant(canaryIPv4, "address of a relay"), nil)
	if err != nil {
		return err
	}
	relay, err := vnet.NewRelay(host, vnet.RelayConfig{Realm: s.plant(canaryUfrag, "TURN realm"), Secret: s.plant(canaryPassword, "TURN secret")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, relay.Close()) }()
	side := func(d *lab.Device) client.Config {
		if err != nil {
			return client.Config{}
		}
		var host *vnet.Host
		host, err = lan.AddHost(s.plant(canaryIPv4, "address of a client"), profile)
		if err != nil {
			return client.Config{}
		}
		return client.Config{
			Policy: d.Policy, Reporter: d.Reporter, Origin: telemetry.OriginCall, Context: model.Context{Network: model.NetworkWiFi},
			Net: host, RelayDialer: host.RelayDialer(relay), Speech: buzz(),
			Relays: []client.Relay{{
				Site: 1, Username: s.plant(canaryUser, "TURN user"), Credential: s.plant(canaryPassword, "TURN password"),
				URLs: []string{relay.URL(model.TransportRelayUDP)},
			}},
		}
	}
	first, second := s.device(), s.device()
	defer s.retire(first)
	defer s.retire(second)
	callerConfig, calleeConfig := side(first), side(second)
	if err != nil {
		return err
	}
	// Over the relay first, which knows no such user, so that the credentials are really used: that is a failed call.
	strict := callerConfig
	strict.Limits.ForbiddenTransports = []model.Transport{model.TransportDirect}
	holder := new(policy.Holder)
	strict.Policy = holder
	if _, err := client.Dial(s.t.Context(), strict, &tamper{s: s, callee: calleeConfig}); !errors.Is(err, client.ErrSetup) || !strings.Contains(err.Error(), "none for relay") {
		return fmt.Errorf("a call over a relay that knows no such user: %w", errors.Join(err, errors.New("it should not get a candidate")))
	}

	way := &tamper{s: s, callee: calleeConfig}
	caller, err := client.Dial(s.t.Context(), callerConfig, way)
	if err != nil {
		return err
	}
	var legs sync.WaitGroup
	faults := make([]error, 2)
	const duration = 9 * time.Second
	legs.Go(func() { faults[0] = caller.Run(s.t.Context(), duration) })
	legs.Go(func() { faults[1] = way.client.Run(s.t.Context(), duration) })
	legs.Wait()
	return errors.Join(faults...)
}

// tamper is the signalling between two peers; it adds canaries to both descriptions.
type tamper struct {
	s      *canarySite
	callee client.Config
	client *client.Client
}

// Exchange hands the offer to the callee.
func (w *tamper) Exchange(ctx context.Context, offer client.Description) (client.Description, error) {
	offer.SDP = w.s.season(offer.SDP)
	var answer client.Description
	var err error
	if w.client != nil {
		answer, err = w.client.Answer(ctx, offer)
	} else {
		w.client, answer, err = client.Accept(ctx, w.callee, offer)
	}
	answer.SDP = w.s.season(answer.SDP)
	return answer, err
}

var (
	originLine = regexp.MustCompile(`(?m)^o=\S+`)
	nameLine   = regexp.MustCompile(`(?m)^s=.*\r$`)
	cname      = regexp.MustCompile(`cname:\S+`)
	msid       = regexp.MustCompile(`msid:\S+`)
)

// season puts canaries wherever an SDP has room for text (RFC 8866, RFC 8839).
func (s *canarySite) season(sdp string) string {
	if sdp == "" {
		return ""
	}
	const where = "SDP"
	sdp = originLine.ReplaceAllString(sdp, "o="+s.plant(canaryDevice, where))
	sdp = nameLine.ReplaceAllString(sdp, fmt.Sprintf("s=%s\r\ni=%s\r\ne=%s\r\np=%s\r", s.plant(canaryName, where), s.plant(canarySDP, where),
		s.plant(canaryEmail, where), s.plant(canaryPhone, where)))
	sdp = cname.ReplaceAllString(sdp, "cname:"+s.plant(canaryUfrag, where))
	sdp = msid.ReplaceAllString(sdp, "msid:"+s.plant(canaryUfrag, where))
	for range 3 {
		sdp += "a=" + s.plant(canaryCandidate, where) + "\r\n"
	}
	return sdp + "a=x-user:" + s.plant(canaryUser, where) + "\r\n"
}

// interceptRTP shows a policy interceptor packets whose header extensions, sources and payloads are canaries, and lets it
// report what it saw.
func (s *canarySite) interceptRTP(reporter *telemetry.Reporter) {
	const where = "RTP packet"
	leg := reporter.Call(model.Context{Network: model.NetworkWiFi}, telemetry.OriginCall)
	factory, err := policy.NewInterceptor(policy.WithRecorder(leg))
	if err != nil {
		s.t.Error(err)
		return
	}
	bound, err := factory.NewInterceptor(s.plant(canaryName, "id of an interceptor"))
	if err != nil {
		s.t.Error(err)
		return
	}
	var incoming []byte
	info := &interceptor.StreamInfo{ID: s.plant(canaryUfrag, "id of a stream"), SSRC: 1, ClockRate: 48000, MimeType: "audio/opus"}
	reader := bound.BindRemoteStream(info, interceptor.RTPReaderFunc(func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
		return copy(b, incoming), a, nil
	}))
	writer := bound.BindLocalStream(info, interceptor.RTPWriterFunc(func(_ *rtp.Header, payload []byte, _ interceptor.Attributes) (int, error) {
		return len(payload), nil
	}))
	buffer := make([]byte, 1500)
	for sequence := range 20 {
		header := rtp.Header{Version: 2, SSRC: 1, SequenceNumber: uint16(sequence), Timestamp: uint32(960 * sequence)}
		// Two words of an address are a contributing source each.
		six := []byte(s.plant(canaryIPv6, where))
		header.CSRC = []uint32{uint32(six[0])<<24 | uint32(six[1])<<16 | uint32(six[2])<<8 | uint32(six[3]), 0x7f000001}
		for id, kind := range []canaryKind{canaryName, canaryEmail, canaryDevice} {
			if err := header.SetExtension(uint8(id+1), []byte(s.plant(kind, where))); err != nil {
				s.t.Error(err)
			}
		}
		payload := []byte(s.plant(canaryPhone, where) + " " + s.plant(canarySDP, where))
		if incoming, err = (&rtp.Packet{Header: header, Payload: payload}).Marshal(); err != nil {
			s.t.Error(err)
		}
		if _, _, err := reader.Read(buffer, nil); err != nil {
			s.t.Error(err)
		}
		if _, err := writer.Write(&header, payload, nil); err != nil {
			s.t.Error(err)
		}
	}
	if err := bound.Close(); err != nil {
		s.t.Error(err)
	}
	leg.Stage(model.StageMedia)
	leg.End(false)
}

var listenLine = regexp.MustCompile(`waiting for a call at (http://\S+)`)

// plantSignalling makes a call between two processes that signal over HTTP, through a proxy that adds headers.
func (s *canarySite) plantSignalling(root string) {
	speech := filepath.Join(s.etc, "speech.wav")
	file, err := wav.Create(speech)
	if err == nil {
		err = errors.Join(file.Write(buzz()), file.Close())
	}
	if err != nil {
		s.t.Error(err)
		return
	}
	args := func(state string, more ...string) []string {
		return append([]string{"call", "--nats", s.backends.NATSURL, "--root", root, "--state", s.path("clients", state), "--wav-in", speech, "--duration", "5s"}, more...)
	}
	callee := s.command("callee", args("callee", "--listen", "127.0.0.1:0")...)
	target, copied, err := s.listens(callee)
	if err != nil {
		s.t.Errorf("the callee does not listen: %v", err)
		return
	}
	const where = "HTTP header of the signalling"
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		for name, kind := range map[string]canaryKind{
			"X-Forwarded-For": canaryIPv4, "Forwarded": canaryIPv6, "From": canaryEmail, "P-Asserted-Identity": canaryPhone,
			"User-Agent": canaryName, "Cookie": canaryDevice, "Authorization": canaryPassword, "X-Ufrag": canaryUfrag,
		} {
			r.Out.Header.Set(name, s.plant(kind, where))
		}
	}})
	defer proxy.Close()
	caller := s.command("caller", args("caller", "--peer", proxy.URL+"/"+url.PathEscape(s.plant(canaryName, "URL of a peer")))...)
	fault := caller.Run()
	<-copied
	if err := errors.Join(fault, callee.Wait()); err != nil {
		s.t.Errorf("a call between two processes: %v", err)
	}
}

// listens starts a process, copies what it says to its file, and returns the address it listens at.
func (s *canarySite) listens(command *exec.Cmd) (address *url.URL, copied chan struct{}, err error) {
	file := command.Stdout
	command.Stdout = nil
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := command.Start(); err != nil {
		return nil, nil, err
	}
	s.t.Cleanup(func() { _ = command.Process.Kill() })
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		_, _ = fmt.Fprintln(file, lines.Text())
		if m := listenLine.FindStringSubmatch(lines.Text()); m != nil {
			copied = make(chan struct{})
			go func() {
				defer close(copied)
				for lines.Scan() {
					_, _ = fmt.Fprintln(file, lines.Text())
				}
			}()
			address, err := url.Parse(m[1])
			return address, copied, err
		}
	}
	return nil, nil, errors.Join(errors.New("it ended"), lines.Err(), command.Wait())
}
