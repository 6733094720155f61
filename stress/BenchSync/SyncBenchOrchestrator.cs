using Collective.Stress.Processes;

namespace Collective.Stress.BenchSync;

/// <summary>For each world size: starts a master and the peer processes, and gathers what they measured.</summary>
internal sealed class SyncBenchOrchestrator(SyncBenchPlan plan, Action<SyncBenchResult> onResult)
{
    private readonly List<SyncBenchResult> _results = [];
    private readonly List<string> _failures = [];

    public async Task<SyncBenchReport> RunAsync(CancellationToken cancellationToken)
    {
        foreach (var worldSize in SyncBenchPlan.WorldSizes)
        {
            if (_failures.Count == 0)
            {
                await RunAsync(worldSize, cancellationToken);
            }
        }

        return new SyncBenchReport(_failures.Count == 0, _failures, plan.Bytes, _results);
    }

    private async Task RunAsync(int worldSize, CancellationToken cancellationToken)
    {
        var measured = new List<SyncBenchEvent.Measured>();
        var worked = new List<SyncBenchEvent.Worked>();
        await using (var master = CollectiveMaster.Start(new MasterOptions { Listen = "127.0.0.1:0" }))
        {
            await using var children = new ChildGroup(ChildRuntime.CompileAtOnce);
            for (var count = 0; count < worldSize; count++)
            {
                children.Start(plan.ToArguments(master.EndPoint.ToString(), worldSize));
            }

            await GatherAsync(children, measured, worked, cancellationToken);
        }

        if (_failures.Count == 0 && measured.Count != 2)
        {
            _failures.Add($"Only {measured.Count} of 2 kinds of sync were measured with {worldSize} peers.");
        }

        foreach (var kind in measured)
        {
            var (median, raw) = (Median(kind.Milliseconds), Median(kind.RawCopyMilliseconds));
            var processorMs = worked.Where(w => w.Kind == kind.Kind).Sum(w => w.ProcessorMs);
            var result = new SyncBenchResult(kind.Kind, worldSize, kind.BytesReceived, kind.Donors, median, kind.Milliseconds[0], processorMs, raw, raw / median);
            _results.Add(result);
            onResult(result);
        }
    }

    private async Task GatherAsync(ChildGroup children, List<SyncBenchEvent.Measured> measured, List<SyncBenchEvent.Worked> worked, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var output in children.ReadAllAsync(cancellationToken))
            {
                Apply(output, measured, worked);
                if (_failures.Count > 0)
                {
                    return;
                }
            }
        }
        catch (TimeoutException error)
        {
            _failures.Add(error.Message);
        }
    }

    private void Apply(ChildOutput output, List<SyncBenchEvent.Measured> measured, List<SyncBenchEvent.Worked> worked)
    {
        var child = output.Child;
        if (output.Line is null)
        {
            if (child.ExitCode != 0)
            {
                _failures.Add($"Peer process {child.Index} (process id {child.ProcessId}) ended with exit code {child.ExitCode}. {child.ErrorText}".TrimEnd());
            }

            return;
        }

        switch (JsonLines.Parse<SyncBenchEvent>(output.Line))
        {
            case SyncBenchEvent.Measured news:
                measured.Add(news);
                break;
            case SyncBenchEvent.Worked news:
                worked.Add(news);
                break;
            case SyncBenchEvent.Failed failed:
                _failures.Add($"Peer process {child.Index} failed: {failed.Message}");
                break;
            case null:
                _failures.Add($"Peer process {child.Index} wrote a line that is no event of the benchmark: {output.Line}");
                break;
        }
    }

    private static double Median(double[] sorted) => sorted.Length == 0 ? 0 : sorted[sorted.Length / 2];
}
