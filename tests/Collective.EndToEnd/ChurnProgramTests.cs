using System.Diagnostics;
using System.Text.Json;
using Collective.Stress;
using Collective.Stress.Churn;
using Collective.Stress.Processes;
using NUnit.Framework;

namespace Collective.EndToEnd;

/// <summary>The churn program as a user runs it. That its checks can fail is shown in <see cref="ChurnJudgeTests"/>.</summary>
internal sealed class ChurnProgramTests
{
    private const int Interrupt = 2;

    /// <summary>One minute of everything. What cannot be done here is left out, and the program says so.</summary>
    [Test]
    public async Task A_minute_of_all_faults_breaks_no_promise()
    {
        var outcome = await StressProgram.RunAsync("churn", "--minutes", "1", "--peers", "6", "--rate", "1", "--seed", "1", "--json");
        TestContext.Out.WriteLine(outcome.Error);
        Assert.That(outcome.ExitCode, Is.Zero, outcome.Output + outcome.Error);

        using var report = JsonDocument.Parse(outcome.Output);
        int Number(string name) => report.RootElement.GetProperty(name).GetInt32();
        Assert.That(report.RootElement.GetProperty("passed").GetBoolean(), Is.True);
        foreach (var nothing in new[] { "divergences", "wrongResults", "unrestored", "innocentEvictions", "unclearEvictions", "wrongBlames", "leaks" })
        {
            Assert.That(Number(nothing), Is.Zero, nothing);
        }

        Assert.That(Number("committed"), Is.GreaterThan(0));
        Assert.That(Number("handovers"), Is.GreaterThan(0), "newcomers that were handed the shared state");
        Assert.That(Number("seed"), Is.EqualTo(1));
        Assert.That(report.RootElement.GetProperty("longestStallSeconds").GetDouble(), Is.LessThan(ChurnPlan.StallMax.TotalSeconds));
        var events = report.RootElement.GetProperty("events");
        Assert.That(Enum.GetValues<ChurnKind>().Sum(kind => events.GetProperty(kind.ToString().ToLowerInvariant()).GetInt32()), Is.GreaterThan(0));
        if (HostNetwork.Unavailable is { } reason)
        {
            Assert.That(outcome.Error, Does.Contain("Left out: blackhole").And.Contains(reason));
            Assert.That(events.GetProperty("blackhole").GetInt32(), Is.Zero);
        }
    }

    /// <summary>Also the frozen ones, and the network.</summary>
    [Test]
    public async Task An_interrupt_ends_all_peers_and_removes_the_network()
    {
        string[] mix = HostNetwork.Unavailable is null ? ["--mix", "freeze,join,blackhole"] : ["--mix", "freeze,join"];
        using var process = StressProgram.Start(["churn", "--minutes", "5", "--peers", "3", "--rate", "5", "--seed", "1", .. mix]);
        var error = process.StandardError.ReadToEndAsync();
        while (await process.StandardOutput.ReadLineAsync().WaitAsync(StressProgram.Timeout) is { } line && !line.Contains("frozen for", StringComparison.Ordinal))
        {
        }

        var rest = process.StandardOutput.ReadToEndAsync();
        var children = StressProgram.ChildrenOf(process);
        Assert.That(children, Is.Not.Empty);
        Assert.That(Signals.Send(process.Id, Interrupt), Is.True);
        await process.WaitForExitAsync().WaitAsync(StressProgram.Timeout);
        await rest;
        Assert.That(process.ExitCode, Is.EqualTo(ExitCodes.Cancelled), await error);
        Assert.That(children.Select(StressProgram.IsGoneSoon), Is.All.True);
        Assert.That(NetworkNamespace.Names.Where(name => name.StartsWith($"collective-{process.Id}-", StringComparison.Ordinal)), Is.Empty);
    }

    [TestCase("--mix", "kill,burn", "'kill,burn' is not a valid value of --mix")]
    [TestCase("--minutes", "0", "it takes a number from 0.05 to 1440")]
    [TestCase("--minutes", "long", "it takes a number from 0.05 to 1440")]
    [TestCase("--peers", "1", "it takes a whole number from 2 to 16")]
    [TestCase("--rate", "11", "it takes a number from 0 to 10")]
    public async Task Bad_arguments_are_named(string option, string value, string sentence)
    {
        var outcome = await StressProgram.RunAsync("churn", option, value);
        Assert.That(outcome.ExitCode, Is.EqualTo(ExitCodes.BadArguments));
        Assert.That(outcome.Error, Does.Contain(sentence));
    }

    [TestCase("/nowhere/log")]
    [TestCase("/dev/full")]
    [TestCase("/")]
    public async Task A_log_file_that_cannot_be_written_is_one_sentence(string path)
    {
        var outcome = await StressProgram.RunAsync("churn", "--mix", "join", "--log", path);
        Assert.That(outcome.ExitCode, Is.EqualTo(ExitCodes.BadArguments));
        Assert.That(outcome.Error, Does.StartWith($"The log file {path} (--log) cannot be written: "));
        Assert.That(outcome.Error.Count(c => c == '\n'), Is.EqualTo(1), outcome.Error);
    }

    [TestCase("demo --steps 10")]
    [TestCase("churn --minutes 0.05 --mix join")]
    public async Task Output_that_cannot_be_written_is_one_sentence(string arguments)
    {
        using var process = Process.Start(new ProcessStartInfo("sh", ["-c", $"exec dotnet '{Path.Combine(AppContext.BaseDirectory, "stress.dll")}' {arguments} >/dev/full"]) { RedirectStandardError = true })!;
        var error = await process.StandardError.ReadToEndAsync().WaitAsync(StressProgram.Timeout);
        await process.WaitForExitAsync().WaitAsync(StressProgram.Timeout);
        Assert.That(process.ExitCode, Is.EqualTo(ExitCodes.Failed));
        Assert.That(error, Does.StartWith("stress: what it has to tell cannot be written: "));
        Assert.That(error.Count(c => c == '\n'), Is.EqualTo(1), error);
    }

    /// <summary>Deaths in the middle of an operation, timed.</summary>
    [Test]
    public async Task The_cost_of_a_death_is_measured()
    {
        var outcome = await StressProgram.RunAsync("recovery", "--peers", "3", "--size", "8MiB", "--rounds", "2", "--json");
        Assert.That(outcome.ExitCode, Is.Zero, outcome.Output + outcome.Error);
        using var report = JsonDocument.Parse(outcome.Output);
        var rounds = report.RootElement.GetProperty("rounds").EnumerateArray().ToList();
        Assert.That(rounds, Has.Count.EqualTo(2));
        foreach (var round in rounds)
        {
            Assert.That(round.GetProperty("retried").GetDouble(), Is.GreaterThan(round.GetProperty("detection").GetDouble()));
            Assert.That(round.GetProperty("undisturbed").GetDouble(), Is.GreaterThan(0));
        }
    }
}
