package transparency

import (
	"fmt"
	"strings"
)

// orders answers each kind of demand from the facts of the report, the uncomfortable ones included.
func (r *Report) orders() []Order {
	orders := []Order{
		r.byIdentifier("All calls of the holder of a telephone number, a name or an account", "a telephone number, a name or an account"),
		r.byAddress(),
		r.byDevice(),
		r.whoCalledWhom(),
		r.byTime(),
		r.ratings(),
		r.everything(),
		content(),
		r.fromNowOn(),
		r.changedClient(),
		r.changedPolicy(),
		r.keys(),
		silence(),
	}
	if names := r.unexplained(); len(names) > 0 {
		for i := range orders {
			if orders[i].Level == LevelNothing {
				orders[i].Level, orders[i].Verdict = LevelUnknown, "Unknown"
				orders[i].Why = append([]string{"Nobody can promise this while the database holds what the registry does not explain: " + strings.Join(names, ", ") + "."}, orders[i].Why...)
			}
		}
	}
	return orders
}

// none tells that nothing stored can hold something, and how far the search went.
func (r *Report) none(what string) string {
	tables, columns := 0, 0
	for _, t := range r.Database.Tables {
		if !t.View {
			tables++
			columns += len(t.Columns)
		}
	}
	all := fmt.Sprintf("All %d columns of the %s that store anything are listed below, as the database itself names them; ", columns, counted(uint64(tables), "table"))
	if len(r.unexplained()) > 0 {
		return all + "those that the registry explains cannot hold " + what + "."
	}
	return all + "none can hold " + what + "."
}

func (r *Report) byIdentifier(demand, what string) Order {
	return Order{demand, "Nothing", LevelNothing, []string{
		r.none(what),
		"Each report has a random number of its own, used to count it once. It is in no other report, and no list says whose it is.",
	}}
}

func (r *Report) byAddress() Order {
	return Order{"All calls made from an IP address", "Nothing", LevelNothing, []string{
		r.none("an address"),
		"The message server writes no log of connections, and lets no one subscribe to its notices about them, when it is run with the configuration that comes with this program. " +
			"The address of a connected app is in its memory while the connection lasts.",
		"The hosting company and the networks on the way may have records of their own; they can be asked without us.",
	}}
}

func (r *Report) byDevice() Order {
	return Order{"All calls of one device", "Nothing from the servers", LevelNothing, []string{
		"No identifier of a device is sent. A report names one of three classes of device.",
		"Whoever holds the device itself finds on it the reports that could not be sent yet, up to 1 MiB unless the app sets another bound, and for a while some of those sent before them: the file is rewritten when it has twice that size.",
	}}
}

func (r *Report) whoCalledWhom() Order {
	return Order{"Who called whom; the contacts of a person", "Nothing", LevelNothing, []string{
		"The two sides of a call report apart, under different random numbers; nothing marks them as one call. Two reports of one hour may look alike; so do those of others.",
		"No number, name or key is in two reports, so two calls of one person have nothing in common that others do not share.",
	}}
}

func (r *Report) byTime() Order {
	why := []string{
		fmt.Sprintf("Yes, and no person with it: reports can be chosen by hour, kind of network and, where it is stored, country. %s of the period have no stored country.",
			share(r.Withheld.Reports+r.Withheld.NotGiven, r.Held.Total.Reports)),
	}
	if r.Withheld.Cells > 0 {
		why = append(why, fmt.Sprintf("The smallest group of one day, country and kind of network has %s.", counted(r.Withheld.SmallestCell, "report")))
	} else {
		why = append(why, "At present no report of the period has a stored country.")
	}
	why = append(why, "Someone who knows more of a call (its length, how its quality went up and down) may be left with few reports that fit, or one. "+
		"That report then tells how good the connection was and which settings were used, not who spoke or with whom.")
	return Order{"All calls at a time, in a country, over a kind of network", "Anonymous reports", LevelSome, why}
}

func (r *Report) ratings() Order {
	return Order{"What a user said about a call", "Nothing that proves anything", LevelNothing, []string{
		fmt.Sprintf("%s with an answer are held. Each answer was randomized on the device: the stars are the true ones with a chance of %.0f %%, the answer about one problem with %.0f %%.",
			counted(r.Randomized.Rated, "report"), 100*r.Randomized.StarsTruth, 100*r.Randomized.FlagTruth),
		"The true answer is stored nowhere, on the device either. Apps of schema version 1 are the exception: they sent it as it was given. It waits like that in the message server and is randomized before it reaches the database.",
	}}
}

func (r *Report) everything() Order {
	why := []string{fmt.Sprintf("%s and the counts of %s refused: %s on disk.", counted(r.Held.Reports, "report"), grouped(r.Held.Refused), size(r.Held.Bytes))}
	if r.Held.Reports > 0 {
		why = append(why, fmt.Sprintf("They are of calls from %s to %s. Nothing older is there; the oldest goes at the latest on %s.", r.Held.Oldest, r.Held.Newest, stamp(*r.Held.Deletion)))
	}
	switch {
	case !r.Streams.Reached:
		why = append(why, "What waits in the message server was not counted: "+r.Streams.Why+".")
	default:
		why = append(why, fmt.Sprintf("%s in the message server, waiting to be checked and stored.", counted(r.waiting(), "message")))
	}
	why = append(why, "All that is in the database has the form that the fields below describe; what waits is as apps sent it, with the time of its arrival and, unless it came through an edge, what an app may have added in headers. Both are stored in the clear, so that whoever takes the machines has them as we do.")
	return Order{"Everything that is stored", "The reports described here", LevelAll, why}
}

func content() Order {
	return Order{"What was said in a call, in the past or from now on", "Nothing from this system", LevelNothing, []string{
		"No sound passes through the servers of this system, and no report has a field that could hold any.",
		"A call itself is encrypted between the two apps (DTLS-SRTP). Where it goes through a relay, the relay carries encrypted packets and sees the addresses of both sides while it lasts. " +
			"Relays and the service that sets up calls belong to the app's operator and are not covered by this report.",
	}}
}

func (r *Report) fromNowOn() Order {
	return Order{"Recording of addresses or of single users from now on", "Addresses that connect, from then on", LevelSome, []string{
		"An operator who is ordered to can record at the machine or the network which addresses connect, and when. This program does not do it and has no setting for it; other software can. Nothing of the past comes with it.",
		"Put beside the times at which messages arrive, such a record would tell which report came from which address. What waits in the message server has those times beside it, " +
			"exact for a report that came alone, and the order: for a second or so as a rule, and for as long as the message server keeps a report where nothing takes it, or where it is of a newer version than the servers know. " +
			"The database has none; its files tell when a batch of reports was inserted, until they are merged. Apps that send through an edge (\"attune edge\") make that harder, since it mixes the reports of many; who runs the edge and the network before it could still be ordered to record.",
		"A client that reaches the servers through a proxy or an anonymity network shows them no address of its own.",
	}}
}

func (r *Report) changedClient() Order {
	return Order{"A changed app that reports more", "Possible, but not through this system", LevelSome, []string{
		"What a report can say is compiled into the app. Neither a server nor a policy can make an app of today say more.",
		"Whoever publishes the app can publish another one. That is a new version in an app store or package archive, where it can be seen and compared; this system has no part in it.",
		"Servers of this program drop what is not in the schema: a report with a field they do not know loses it before it reaches the database. Until then it waits in the message server as it was sent.",
	}}
}

func (r *Report) changedPolicy() Order {
	why := []string{}
	if r.Policies.Known {
		why = append(why, fmt.Sprintf("Policies are the same bytes for everybody; the hash of each is below. An app takes one only with the signatures of %d of %d keys, which are meant to be kept in different jurisdictions.",
			r.Policies.Threshold, r.Policies.Keys))
	} else {
		why = append(why, "Policies are meant to be the same bytes for everybody. What was published is not known to this report: "+r.Policies.Why+".")
	}
	return Order{"A policy aimed at one person", "Little, with enough keys and a server that discriminates", LevelSome, append(why,
		"Whoever can force enough key holders and the server could sign a second policy and hand it to one address only. The person would hold a policy whose hash is not in the list below, with two valid signatures as evidence.",
		"Such a policy can choose bitrate, codec, protection and, among the sites it names, the relay, within bounds compiled into the app. A relay of the attacker's choice would learn the addresses of both sides and when they speak, not what. It cannot make the app report more, nor weaken its encryption.")}
}

func (r *Report) keys() Order {
	return Order{"Our keys", "No key decrypts a call or a report", LevelSome, []string{
		"The keys of policies sign; they decrypt nothing. With enough of them a policy can be signed, see above.",
		"The key of the log of requests signs its entries. Whoever has it could add entries; changing one that was published changes every hash after it.",
		"With the certificates of the servers one could pose as them and receive reports on the way, which say no more than those that are stored, and see the addresses they come from.",
		"Keys of calls are made by the two apps for each call and never leave them.",
	}}
}

func silence() Order {
	return Order{"An order, and silence about it", "Possible", LevelSome, []string{
		"An operator can be forbidden to tell. The log of requests then lacks the entry: a count of zero means none that we may tell of.",
		"The order would still obtain what this page says, and no more.",
	}}
}

// share is a part of a whole in percent.
func share(part, whole uint64) string {
	if whole == 0 {
		return "0 %"
	}
	return fmt.Sprintf("%.0f %%", 100*float64(part)/float64(whole))
}

// size is a number of bytes for people.
func size(bytes uint64) string {
	units := []string{"KiB", "MiB", "GiB", "TiB"}
	if bytes < 1024 {
		return counted(bytes, "byte")
	}
	value, unit := float64(bytes), ""
	for _, unit = range units {
		if value /= 1024; value < 1024 {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}
