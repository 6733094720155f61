using Collective.Stress.Processes;

namespace Collective.Stress.Bench;

/// <summary>Starts the master and the peer processes and gathers what they measured.</summary>
internal sealed class BenchOrchestrator(BenchPlan plan, Action<BenchResult> onResult)
{
    private readonly List<BenchResult> _results = [];
    private readonly List<string> _failures = [];
    private readonly List<BenchEvent.Measured> _pending = [];

    public async Task<BenchReport> RunAsync(CancellationToken cancellationToken)
    {
        await using var master = CollectiveMaster.Start(new MasterOptions { Listen = "127.0.0.1:0" });
        await using var children = new ChildGroup();
        for (var count = 0; count < plan.Peers; count++)
        {
            children.Start(plan.ToArguments(master.EndPoint.ToString()));
        }

        try
        {
            await foreach (var output in children.ReadAllAsync(cancellationToken))
            {
                Apply(output);
                if (_failures.Count > 0)
                {
                    break;
                }
            }
        }
        catch (TimeoutException error)
        {
            _failures.Add(error.Message);
        }

        if (_failures.Count == 0 && _results.Count != plan.Sizes.Count)
        {
            _failures.Add($"Only {_results.Count} of {plan.Sizes.Count} sizes were measured.");
        }

        return new BenchReport(_failures.Count == 0, _failures, plan.Peers, plan.Stripes, plan.InPlace, plan.Quantization.ToString(), _results);
    }

    private void Apply(ChildOutput output)
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

        switch (JsonLines.Parse<BenchEvent>(output.Line))
        {
            case BenchEvent.Measured measured:
                OnMeasured(measured);
                break;
            case BenchEvent.Failed failed:
                _failures.Add($"Peer process {child.Index} failed: {failed.Message}");
                break;
            case null:
                _failures.Add($"Peer process {child.Index} wrote a line that is no event of the benchmark: {output.Line}");
                break;
        }
    }

    /// <summary>A size is complete when all peers have measured it; a peer can be ahead of the others by at most one size.</summary>
    private void OnMeasured(BenchEvent.Measured measured)
    {
        _pending.Add(measured);
        var size = plan.Sizes[_results.Count];
        var current = _pending.Where(other => other.Bytes == size).DistinctBy(other => other.Rank).ToList();
        if (current.Count < plan.Peers)
        {
            return;
        }

        current.ForEach(item => _pending.Remove(item));
        var result = BenchResult.Of(current.Single(item => item.Rank == 0), plan.Peers, current.Sum(item => item.WrongElements));
        _results.Add(result);
        onResult(result);
        if (result.WrongElements > 0)
        {
            _failures.Add($"{result.WrongElements} elements of the sums of {Bytes.Text(size)} are wrong.");
        }
    }
}
