package server

import "runtime/debug"

// Release is the version of the program as it is released; builds from a working tree say so beside it.
const Release = "0.1.0-dev"

// Version is the release, with the revision it was built from where that is known.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Release
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return Release + "+" + s.Value[:12]
		}
	}
	return Release
}
