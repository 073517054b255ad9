package suite

// FolderOptions says how folders of recordings become a suite.
type FolderOptions struct {
	// SkipBad lists files that cannot be read instead of failing on the first one.
	SkipBad bool
	// ValidationShare is the part of the sources that is held out, rounded to whole sources in each folder; 0 stands for
	// DefaultValidationShare, and a negative one holds nothing out.
	ValidationShare float64
}

// DefaultValidationShare is the part of the sources that FromFolders holds out. It is chosen.
const DefaultValidationShare = 0.3

// Skipped is a file that FromFolders has not made a network of.
type Skipped struct {
	Path     string
	Reason   string
	Document bool // it documents the folder (a README, a licence) rather than being a bad recording
}
