package getstats

import (
	"github.com/attune-calls/attune/model"
)

// path is the pair of candidates that a stream went over from some time on.
type path struct {
	from      float64
	pair      *object
	transport model.Transport // unknown where it is none that a client can choose
	network   model.NetworkType
}

// readPaths finds the pairs of candidates that were in use, and what they say of transport and network. It says why there is
// none that a client can choose.
func (s *stream) readPaths(cfg Config) string {
	for _, t := range s.pairs() {
		pair := s.objects[t.id]
		if pair == nil || pair.kind != kindPair {
			continue
		}
		s.addPath(t.at, pair, cfg)
	}
	if len(s.paths) == 0 {
		s.addPath(0, s.busiest(), cfg)
	}
	s.paths[0].from = 0
	reason := skipNoPath
	for _, p := range s.paths {
		if p.transport != model.TransportUnknown {
			return ""
		}
		if p.pair != nil && s.objects[p.pair.texts["localCandidateId"]] != nil {
			reason = skipPath
		}
	}
	return reason
}

// pairs is what the transport says of the pairs in use, over time.
func (s *stream) pairs() []turn {
	if transport := s.objects[s.texts["transportId"]]; transport != nil {
		return transport.turns
	}
	var only *object
	for _, id := range s.order {
		if o := s.objects[id]; o.kind == kindTransport {
			if only != nil { // of which this stream used one, and nothing says which
				return nil
			}
			only = o
		}
	}
	if only == nil {
		return nil
	}
	return only.turns
}

// busiest is the pair that carried most of those that say they are in use: for dumps without the transport. Where no pair
// says anything it is the busiest of all; nil when there is none.
func (s *stream) busiest() *object {
	var best *object
	most := [2]float64{-1, -1}
	for _, id := range s.order {
		o := s.objects[id]
		if o.kind != kindPair {
			continue
		}
		rank := [2]float64{0, o.last("bytesReceived") + o.last("bytesSent")}
		switch {
		case o.texts["selected"] == "true":
			rank[0] = 4
		case o.texts["state"] == "succeeded" && o.texts["nominated"] == "true":
			rank[0] = 3
		case o.texts["state"] == "succeeded":
			rank[0] = 2
		case o.texts["state"] == "":
			rank[0] = 1
		default: // a pair that failed or waits
			continue
		}
		if rank[0] > most[0] || rank[0] == most[0] && rank[1] > most[1] {
			best, most = o, rank
		}
	}
	return best
}

func (s *stream) addPath(from float64, pair *object, cfg Config) {
	p := path{from: from, pair: pair, transport: cfg.Transport}
	if pair == nil {
		p.pair = &object{}
	}
	local, remote := s.objects[p.pair.texts["localCandidateId"]], s.objects[p.pair.texts["remoteCandidateId"]]
	if local != nil {
		p.network = networks[local.texts["networkType"]]
		p.transport = transport(local, remote)
	}
	if p.network == model.NetworkUnknown {
		p.network = cfg.Context.Network
	}
	s.paths = append(s.paths, p)
}

// transport is the one of the vocabulary that leads from a local candidate to a remote one; unknown when it is none.
func transport(local, remote *object) model.Transport {
	switch relayed := local.texts["candidateType"] == "relay"; {
	case relayed:
		return relays[local.texts["relayProtocol"]]
	case local.texts["protocol"] == "tcp": // ICE-TCP is no choice of a client
		return model.TransportUnknown
	case remote != nil && remote.texts["candidateType"] == "relay":
		return model.TransportRelayUDP // as far as this side can see
	default:
		return model.TransportDirect
	}
}

var networks = map[string]model.NetworkType{
	"wifi": model.NetworkWiFi, "ethernet": model.NetworkEthernet,
	"cellular2g": model.Network2G, "cellular3g": model.Network3G, "cellular4g": model.Network4G, "cellular5g": model.Network5G,
}

var relays = map[string]model.Transport{
	"udp": model.TransportRelayUDP, "tcp": model.TransportRelayTCP, "tls": model.TransportRelayTLS,
}

// pathAt is the path in use at a time.
func (s *stream) pathAt(t float64) *path {
	at := 0
	for i := range s.paths {
		if s.paths[i].from <= t {
			at = i
		}
	}
	return &s.paths[at]
}
