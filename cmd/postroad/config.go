package main

import (
	"errors"
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/internal/config"
)

// loadConfig reads file and environment; --data wins over both.
func loadConfig(a *cli.App, file string) (config.Config, error) {
	cfg, err := config.Load(file, os.Environ())
	if a.Data != "" {
		cfg.DataDir = a.Data
	}
	return cfg, err
}

func configCommand(a *cli.App) *cobra.Command {
	file := ""
	check := &cobra.Command{
		Use: "check", Short: "Tell everything that is wrong with a configuration", Args: cobra.NoArgs,
		RunE: cli.Work(func(*cobra.Command, []string) error {
			_, err := loadConfig(a, file)
			var problems config.ProblemErrors
			if a.JSON {
				list := []string{}
				if errors.As(err, &problems) {
					for _, p := range problems {
						list = append(list, p.String())
					}
				} else if err != nil {
					list = append(list, err.Error())
				}
				if printed := a.PrintJSON(map[string]any{"ok": err == nil, "problems": list}); printed != nil {
					return printed
				}
				if err != nil {
					return cli.Refused(nil)
				}
				return nil
			}
			if err != nil {
				return err
			}
			a.Say("The configuration is right.\n")
			return nil
		}),
	}
	check.Flags().StringVar(&file, "config", "", "configuration file (default none: environment and defaults)")
	return cli.Group("config", "The server's configuration; needs no server", check,
		&cobra.Command{
			Use: "reference", Short: "Print the reference of all keys", Args: cobra.NoArgs,
			RunE: cli.Work(func(*cobra.Command, []string) error { return config.WriteReference(a.Out) }),
		})
}

func versionCommand(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: cli.Work(func(*cobra.Command, []string) error {
			if a.JSON {
				return a.PrintJSON(map[string]string{"version": version(), "go": runtime.Version()})
			}
			a.Say("postroad %s\n", version())
			return nil
		}),
	}
}
