package main

import (
	"errors"
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"postroad/internal/config"
)

// loadConfig reads file and environment; --data wins over both.
func (a *app) loadConfig(file string) (config.Config, error) {
	cfg, err := config.Load(file, os.Environ())
	if a.data != "" {
		cfg.DataDir = a.data
	}
	return cfg, err
}

func (a *app) configCommand() *cobra.Command {
	file := ""
	check := &cobra.Command{
		Use: "check", Short: "Tell everything that is wrong with a configuration", Args: cobra.NoArgs,
		RunE: work(func(*cobra.Command, []string) error {
			_, err := a.loadConfig(file)
			var problems config.ProblemErrors
			if a.json {
				list := []string{}
				if errors.As(err, &problems) {
					for _, p := range problems {
						list = append(list, p.String())
					}
				} else if err != nil {
					list = append(list, err.Error())
				}
				if printed := a.printJSON(map[string]any{"ok": err == nil, "problems": list}); printed != nil {
					return printed
				}
				if err != nil {
					return refused(nil)
				}
				return nil
			}
			if err != nil {
				return err
			}
			a.say("The configuration is right.\n")
			return nil
		}),
	}
	check.Flags().StringVar(&file, "config", "", "configuration file (default none: environment and defaults)")
	return group("config", "The server's configuration; needs no server", check,
		&cobra.Command{
			Use: "reference", Short: "Print the reference of all keys", Args: cobra.NoArgs,
			RunE: work(func(*cobra.Command, []string) error { return config.WriteReference(a.out) }),
		})
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: work(func(*cobra.Command, []string) error {
			if a.json {
				return a.printJSON(map[string]string{"version": version(), "go": runtime.Version()})
			}
			a.say("postroad %s\n", version())
			return nil
		}),
	}
}
