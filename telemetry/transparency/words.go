package transparency

import (
	"fmt"
	"strings"
)

const about = "Attune makes voice calls tune themselves. An app that uses it measures how well each call went over which kind of network, " +
	"and reports that in a few coarse figures. From many such reports a program learns which settings work best on each kind of network; the result " +
	"goes back to all apps as one signed file of settings, the policy. This page says what is kept of the reports, for how long, who has asked for it, " +
	"and what a court could obtain."

// answer is the reply to "what do you hold about me?", from the facts.
func (r *Report) answer() []string {
	if names := r.unexplained(); len(names) > 0 {
		return []string{"We cannot say at the moment. The database holds what the registry of fields does not explain (" +
			strings.Join(names, ", ") + "), and until that is cleared nobody can tell whether it concerns you. See the findings."}
	}
	if r.Held.Reports == 0 && r.waiting() == 0 {
		return []string{"Nothing. There is no report of any call at the moment."}
	}
	held := fmt.Sprintf("Nothing that can be found by your name, your telephone number, your account, your device or your address, because none of these is "+
		"ever sent or stored. We hold %s, of calls from %s to %s, and no means to tell which of them, if any, are yours, or which belong together.",
		counted(r.Held.Reports, "report"), r.Held.Oldest, r.Held.Newest)
	if r.Held.Reports == 0 {
		held = fmt.Sprintf("Nothing that can be found by your name, your telephone number, your account, your device or your address, because none of these is "+
			"ever sent or stored. %s on the way to an empty database.", counted(r.waiting(), "message"))
	}
	return []string{
		held,
		fmt.Sprintf("Each report says how well one side of one call went: the hour, the country where at least %d calls of that day share it with the same "+
			"kind of network, the kind of network, a class of device, the settings used and what came of them, all in steps too coarse to tell one phone from another. "+
			"It is deleted at the latest %s after the day of the call.", r.Promises.MinCell, counted(uint64(r.Promises.RetentionDays), "day")),
		"Someone who already knows when you called, for how long and over what network may find reports that fit, sometimes only one. " +
			"What such a report would tell is how good the connection was, never who spoke, with whom, or what was said.",
	}
}

// unexplained names the tables and columns that nobody can explain.
func (r *Report) unexplained() []string {
	var names []string
	for _, t := range r.Database.Tables {
		if t.View {
			continue
		}
		if !t.Known {
			names = append(names, "table "+t.Name)
			continue
		}
		for _, c := range t.Columns {
			if !c.Known {
				names = append(names, "column "+t.Name+"."+c.Name)
			}
		}
	}
	return names
}

func (r *Report) waiting() uint64 {
	if r.Held.Waiting == nil {
		return 0
	}
	return *r.Held.Waiting
}

func limits() []string {
	return []string{
		"It is made by the operator's program on the operator's machines. The commands at the end let anyone with access repeat each figure; they cannot show that the machines run this program.",
		"It sees the database and the message server named in it. Copies made outside of them (backups, images of disks, exports by the data team) are not seen.",
		"It does not see what the operating system, the network, a hosting company or a firewall records. While an app is connected, its address is known to the machine it is connected to, in memory, and to everyone on the way.",
		"Rows that were deleted leave the disk within minutes, as far as the file system goes. What a disk keeps of deleted files is beyond this program.",
		"A team that imports recorded calls of its own can find those reports again: their numbers are made from the recording, with a key that whoever imported it keeps.",
		"An operator who is forbidden to speak of a request cannot enter it. The log proves that entries were not changed, not that every request is in it.",
	}
}

// counted is "1 report", "2 reports".
func counted(n uint64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return grouped(n) + " " + thing + "s"
}

// grouped writes a number with a thin mark between thousands.
func grouped(n uint64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
