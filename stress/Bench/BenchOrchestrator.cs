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
        using var network = plan.SlowPairs > 0 ? SlowNetwork() : null;
        await using var master = network is null
            ? CollectiveMaster.Start(new MasterOptions { Listen = "127.0.0.1:0" })
            : network.NamespaceOf(plan.Peers).Run(() => CollectiveMaster.Start(new MasterOptions { Listen = $"{HostNetwork.AddressOf(plan.Peers)}:0" }));
        await using var children = new ChildGroup(ChildRuntime.CompileAtOnce);
        for (var count = 0; count < plan.Peers; count++)
        {
            children.Start(plan.ToArguments(master.EndPoint.ToString()), network?.NamespaceOf(count));
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

    /// <summary>A host for each peer, and one more for the master. The fast ring is that of the even hosts and then the odd ones.</summary>
    private HostNetwork SlowNetwork()
    {
        var network = HostNetwork.Create(plan.Peers + 1);
        try
        {
            var hosts = Enumerable.Range(0, plan.Peers).OrderBy(host => host % 2).ToList();
            for (var at = 0; at < hosts.Count; at++)
            {
                foreach (var to in hosts.Where(to => to != hosts[at] && to != hosts[(at + 1) % hosts.Count]))
                {
                    network.Limit(hosts[at], to, plan.SlowPairs);
                }
            }

            return network;
        }
        catch
        {
            network.Dispose();
            throw;
        }
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
