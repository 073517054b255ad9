package cli

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/attune-calls/attune/telemetry"
)

func newPrivacy(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "privacy",
		GroupID: groupEveryone,
		Short:   "See what a client would say about a call",
		Example: "  attune privacy view --example",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPrivacyView(s))
	return cmd
}

// viewOptions are the flags of "attune privacy view".
type viewOptions struct {
	spool, report string
	example, json bool
}

func newPrivacyView(s *settings) *cobra.Command {
	var o viewOptions
	cmd := &cobra.Command{
		Use:   "view",
		Short: "Print the exact bytes of a report, and what each means, before it is sent",
		Long: "Takes reports apart byte by byte: each field with its value, in words, and why it is collected. What the registry of\n" +
			"fields does not know is shown as unknown. Nothing is sent and nothing is changed; a client may be using its spool, which\n" +
			"has every report until the stream has acknowledged it. \"attune call --show-report\" shows the report of a call you make,\n" +
			"before it is sent. docs/what-we-collect.md tells of every field a report can have.",
		Example: "  attune privacy view --example\n" +
			"  attune privacy view --spool state/client/spool\n" +
			"  attune privacy view --report - < encoded.report",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return usageError{err}
			}
			return s.privacyView(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.spool, "spool", "", "show the reports that wait in this spool file of a client")
	flags.StringVar(&o.report, "report", "", "show the one encoded report in this file; - reads standard input")
	flags.BoolVar(&o.example, "example", false, "make up a short call and show the report a client would send of it")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

func (o *viewOptions) validate() error {
	ways := 0
	for _, chosen := range []bool{o.spool != "", o.report != "", o.example} {
		if chosen {
			ways++
		}
	}
	if ways != 1 {
		return errors.New("privacy view: choose one of --example, --spool FILE, --report FILE")
	}
	return nil
}

// shown is one report as the verb prints it.
type shown struct {
	Bytes  int                   `json:"bytes"`
	Hex    string                `json:"hex"`
	Fields []telemetry.ViewField `json:"fields"`
	// Sent is how the report travels, where that is known.
	Subject string `json:"subject,omitempty"`
	Header  string `json:"header,omitempty"`
	// Fault says that no server would take it.
	Fault string `json:"fault,omitempty"`
}

// shownReports is everything the verb prints.
type shownReports struct {
	Reports []shown `json:"reports"`
	Lost    int     `json:"lostReports"`  // given up, told with the next report
	Damaged int     `json:"damagedBytes"` // of a spool, that cannot be read
}

func (s *settings) privacyView(ctx context.Context, o viewOptions) error {
	var all shownReports
	var encoded [][]byte
	var message *nats.Msg
	switch {
	case o.example:
		sent, err := exampleReport(ctx)
		if err != nil {
			return err
		}
		message, encoded = sent, [][]byte{sent.Data}
	case o.spool != "":
		spooled, err := telemetry.ReadSpool(o.spool)
		if err != nil {
			return err
		}
		encoded, all.Lost, all.Damaged = spooled.Reports, spooled.Lost, spooled.Damaged
	default:
		report, err := s.readReport(o.report)
		if err != nil {
			return err
		}
		encoded = [][]byte{report}
	}
	all.Reports = make([]shown, 0, len(encoded))
	for i, report := range encoded {
		one, err := show(report)
		if err != nil {
			return fmt.Errorf("report %d of %d: %w", i+1, len(encoded), err)
		}
		if message != nil {
			one.Subject, one.Header = message.Subject, jetstream.MsgIDHeader+": "+message.Header.Get(jetstream.MsgIDHeader)
		}
		all.Reports = append(all.Reports, one)
	}
	if o.json {
		encoder := json.NewEncoder(s.out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(all)
	}
	return printReports(s.out, &all)
}

// readReport reads one encoded report, and no more than a report can have.
func (s *settings) readReport(path string) ([]byte, error) {
	in := s.in
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("--report: %w", err)
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	report, err := io.ReadAll(io.LimitReader(in, telemetry.MaxReportSize+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("--report: %w", err)
	case len(report) == 0:
		return nil, errors.New("--report: there is nothing in it; give a file with one encoded report")
	}
	return report, nil
}

func show(report []byte) (shown, error) {
	view, err := telemetry.NewView(report)
	if err != nil {
		return shown{}, fmt.Errorf("%w; is it one encoded report, not hexadecimal and not a spool file (--spool)?", err)
	}
	one := shown{Bytes: len(report), Hex: hex.EncodeToString(report), Fields: view.Fields}
	var r telemetry.Report
	if err := telemetry.Unmarshal(report, &r); err != nil {
		one.Fault = err.Error()
	} else if err := r.ValidateAt(time.Now()); err != nil {
		one.Fault = err.Error()
	}
	return one, nil
}

func printReports(out io.Writer, all *shownReports) error {
	var b strings.Builder
	for i := range all.Reports {
		all.Reports[i].print(&b, fmt.Sprintf("Report %d of %d", i+1, len(all.Reports)))
	}
	if len(all.Reports) == 0 {
		b.WriteString("no report is waiting\n")
	} else {
		b.WriteString(theseAreAll)
	}
	if all.Lost > 0 {
		fmt.Fprintf(&b, "%d reports were given up; the next one sent will say so (lost_reports)\n", all.Lost)
	}
	if all.Damaged > 0 {
		fmt.Fprintf(&b, "%d bytes of the file cannot be read: damaged, or the client is writing\n", all.Damaged)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// theseAreAll ends what is shown of reports.
const theseAreAll = "These are all the bytes: what is shown, encoded again, gives exactly them.\n"

// print writes one report, under its name.
func (r *shown) print(b *strings.Builder, name string) {
	fmt.Fprintf(b, "%s: %d bytes\n", name, r.Bytes)
	if r.Subject != "" {
		fmt.Fprintf(b, "sent to %s, with the header %s (the id of the report)\n", r.Subject, r.Header)
	}
	if r.Fault != "" {
		fmt.Fprintf(b, "no server takes it: %s\n", r.Fault)
	}
	b.WriteByte('\n')
	printHex(b, r.Hex)
	b.WriteByte('\n')
	printFields(b, r.Fields, "", map[string]bool{})
	b.WriteByte('\n')
}

// printHex prints the bytes, 32 to a line.
func printHex(b *strings.Builder, bytes string) {
	for start := 0; start < len(bytes); start += 64 {
		row := bytes[start:min(start+64, len(bytes))]
		fmt.Fprintf(b, "  %04x ", start/2)
		for i := 0; i < len(row); i += 2 {
			b.WriteString(" " + row[i:i+2])
		}
		b.WriteByte('\n')
	}
}

// printFields prints each field on a line with its value, and on the next what it is for, the first time it comes.
func printFields(b *strings.Builder, fields []telemetry.ViewField, indent string, explained map[string]bool) {
	for i := range fields {
		f := &fields[i]
		fmt.Fprintf(b, "%s%d %s", indent, f.Number, f.Name)
		switch {
		case f.Unknown != "":
			fmt.Fprintf(b, ": bytes %s\n", f.Unknown)
			continue
		case f.Values != nil:
			fmt.Fprintf(b, ": %s\n", runs(f.Values))
		default:
			b.WriteByte('\n')
		}
		if about := fmt.Sprintf("%s    %s; why: %s\n", indent, f.Says, f.Purpose); !explained[about] {
			explained[about] = true
			b.WriteString(about)
		}
		printFields(b, f.Fields, indent+"    ", explained)
	}
}

// runs lists values; equal ones in a row are counted.
func runs(values []telemetry.ViewValue) string {
	var texts []string
	for i := 0; i < len(values); {
		n := 1
		for i+n < len(values) && values[i+n] == values[i] {
			n++
		}
		text := values[i].Text
		if n > 1 {
			text = fmt.Sprintf("%d x %s", n, text)
		}
		texts = append(texts, text)
		i += n
	}
	return strings.Join(texts, " | ")
}
