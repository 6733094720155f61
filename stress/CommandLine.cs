using System.CommandLine;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using System.Globalization;

namespace Collective.Stress;

/// <summary>Exit codes of this program.</summary>
internal static class ExitCodes
{
    public const int Passed = 0;

    /// <summary>Something did not hold; standard error says what.</summary>
    public const int Failed = 1;

    public const int BadArguments = 2;

    /// <summary>Ended by Ctrl+C (128 plus the number of the signal).</summary>
    public const int Cancelled = 130;
}

/// <summary>What all subcommands have in common.</summary>
internal static class CommandLine
{
    // Ending the child processes takes well under a second; this is for a machine that is very busy.
    private static readonly TimeSpan _cancelTimeout = TimeSpan.FromSeconds(10);

    /// <summary>Runs the subcommand that <paramref name="arguments"/> name; errors in them go to standard error.</summary>
    public static async Task<int> InvokeAsync(RootCommand root, string[] arguments)
    {
        var parsed = root.Parse(arguments);
        if (parsed.Action is ParseErrorAction errorAction)
        {
            errorAction.ShowHelp = false;
            errorAction.ShowTypoCorrections = false;
        }

        // A hidden subcommand is a child process, whose end is its orchestrator's business.
        var command = parsed.CommandResult.Command;
        var configuration = new InvocationConfiguration { ProcessTerminationTimeout = command.Hidden ? null : _cancelTimeout, EnableDefaultExceptionHandler = false };
        var exitCode = await InvokeAsync(parsed, configuration);
        if (parsed.Action is not ParseErrorAction)
        {
            return exitCode;
        }

        await Console.Error.WriteLineAsync($"Run 'stress {(command is RootCommand ? "" : command.Name + " ")}--help' to see what there is.");
        return ExitCodes.BadArguments;
    }

    private static async Task<int> InvokeAsync(ParseResult parsed, InvocationConfiguration configuration)
    {
        try
        {
            return await parsed.InvokeAsync(configuration);
        }
        catch (IOException error)
        {
            await Console.Error.WriteLineAsync($"stress: what it has to tell cannot be written: {error.Message}");
        }
        catch (Exception error)
        {
            await Console.Error.WriteLineAsync($"stress: internal error, please report it: {error}");
        }

        return ExitCodes.Failed;
    }

    /// <summary>An option that takes a whole number from <paramref name="min"/> to <paramref name="max"/>.</summary>
    public static Option<int> Number(string name, string description, int min, int max, int @default)
    {
        var option = new Option<int>(name)
        {
            Description = $"{description} Range {min} to {max}.",
            DefaultValueFactory = _ => @default,
        };
        option.Validators.Add(result =>
        {
            if (result.Tokens.Count > 0 && !(int.TryParse(result.Tokens[0].Value, out var value) && value >= min && value <= max))
            {
                result.AddError($"'{result.Tokens[0].Value}' is not a valid value of {name}: it takes a whole number from {min} to {max}.");
            }
        });
        return option;
    }

    /// <summary>An option that takes a number from <paramref name="min"/> to <paramref name="max"/>, also a fraction.</summary>
    public static Option<double> Decimal(string name, string description, double min, double max, double @default)
    {
        var option = new Option<double>(name)
        {
            Description = string.Create(CultureInfo.InvariantCulture, $"{description} Range {min} to {max}."),
            DefaultValueFactory = _ => @default,
            CustomParser = result => double.TryParse(result.Tokens[0].Value, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) ? value : double.NaN,
        };
        option.Validators.Add(result =>
        {
            if (result.Tokens.Count > 0
                && !(double.TryParse(result.Tokens[0].Value, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && value >= min && value <= max))
            {
                result.AddError(string.Create(CultureInfo.InvariantCulture, $"'{result.Tokens[0].Value}' is not a valid value of {name}: it takes a number from {min} to {max}."));
            }
        });
        return option;
    }

    /// <summary>A hidden option that only this program itself passes to its child processes.</summary>
    public static Option<T> Internal<T>(string name) => new(name) { Hidden = true, Required = true };
}
