// Package deploy holds what is shipped for running nodes - the image, the compose
// file, the chart, the alerts, the dashboard - against the program that they run.
// Nothing here needs the tools that read these files; where a tool is there it is
// asked, too.
package deploy
