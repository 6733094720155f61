using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Collective.Daemon;

/// <summary>The text of <c>--help</c>: what the options are, as always, and then the environment and the exit codes.</summary>
internal sealed class MasterHelp : SynchronousCommandLineAction
{
    private readonly HelpAction _options = new();

    public override bool ClearsParseErrors => true;

    public override int Invoke(ParseResult parseResult)
    {
        _options.Invoke(parseResult);
        var output = parseResult.InvocationConfiguration.Output;
        output.WriteLine("Environment (arguments win over it, and it wins over the configuration file):");
        foreach (var setting in Setting.All)
        {
            output.WriteLine($"  {setting.Variable,-36}  same as {setting.Flag}");
        }

        output.WriteLine();
        output.WriteLine($"""
            Exit codes:
              {ExitCodes.Ok}  stopped by SIGTERM or SIGINT
              {ExitCodes.InternalError}  internal error
              {ExitCodes.Usage}  wrong argument, environment variable or configuration file
              {ExitCodes.AddressInUse}  the address is in use
              {ExitCodes.CannotListen}  cannot listen for another reason
            """);
        return ExitCodes.Ok;
    }
}
