using System.Diagnostics;
using System.Globalization;

namespace Collective.EndToEnd;

/// <summary>What a run of the stress program left behind.</summary>
internal sealed record StressOutcome(int ExitCode, string Output, string Error);

/// <summary>Runs the stress program as a user would: as a process.</summary>
internal static class StressProgram
{
    /// <summary>Far longer than any run in a test takes, also on a busy machine.</summary>
    public static readonly TimeSpan Timeout = TimeSpan.FromMinutes(4);

    public static Process Start(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };

        // The build puts the program beside the tests, because they refer to its project.
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "stress.dll"));
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        return Process.Start(start)!;
    }

    public static async Task<StressOutcome> RunAsync(params string[] arguments)
    {
        using var process = Start(arguments);
        try
        {
            var output = process.StandardOutput.ReadToEndAsync();
            var error = process.StandardError.ReadToEndAsync();
            await process.WaitForExitAsync().WaitAsync(Timeout);
            return new StressOutcome(process.ExitCode, await output, await error);
        }
        finally
        {
            process.Kill(entireProcessTree: true);
        }
    }

    /// <summary>The processes that <paramref name="process"/> has started and that still run. Linux only.</summary>
    public static int[] ChildrenOf(Process process)
        => [.. File.ReadAllText($"/proc/{process.Id}/task/{process.Id}/children")
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(text => int.Parse(text, CultureInfo.InvariantCulture))];

    /// <summary>Waits until no process of this id is left.</summary>
    public static bool IsGoneSoon(int processId)
    {
        try
        {
            using var process = Process.GetProcessById(processId);
            return process.WaitForExit(TimeSpan.FromSeconds(20));
        }
        catch (ArgumentException)
        {
            return true;
        }
    }
}
