// Package obs is how Postroad is watched: log keys and logger, metrics in the Prometheus text format, health pages.
//
// Services take a *slog.Logger and a *Metrics as arguments; nothing here is global. The queue id goes through every
// line that concerns a message, under KeyQueueID.
package obs
