package desk

import "strings"

// What browsers and systems betray themselves by, the more particular first:
// almost all claim to be several others.
var (
	browserMarks = [][2]string{{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser", "Samsung Internet"}, {"Firefox", "Firefox"}, {"FxiOS", "Firefox"},
		{"CriOS", "Chrome"}, {"Chrome", "Chrome"}, {"Safari", "Safari"}}
	systemMarks = [][2]string{{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"},
		{"Macintosh", "Mac"}, {"Linux", "Linux"}}
)

// BrowserName is what a browser calls itself, as roughly as its owner needs to
// know it again: "Firefox, Android". Empty if it says nothing known.
func BrowserName(userAgent string) string {
	if len(userAgent) > 1024 {
		return ""
	}
	var parts []string
	for _, marks := range [][][2]string{browserMarks, systemMarks} {
		for _, m := range marks {
			if strings.Contains(userAgent, m[0]) {
				parts = append(parts, m[1])
				break
			}
		}
	}
	return strings.Join(parts, ", ")
}
