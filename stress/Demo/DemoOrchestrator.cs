using System.Diagnostics;
using Collective.Stress.Processes;

namespace Collective.Stress.Demo;

/// <summary>Starts the master and the peer processes, follows what they report and judges the outcome.</summary>
internal sealed class DemoOrchestrator(DemoPlan plan, IDemoDisplay display)
{
    private readonly DemoProgress _progress = new(plan);

    public async Task<DemoReport> RunAsync(CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        await using var master = CollectiveMaster.Start(new MasterOptions { Listen = "127.0.0.1:0" });
        await using var children = new ChildGroup(ChildRuntime.Usual);
        var address = master.EndPoint.ToString();
        for (var count = 0; count < plan.Peers; count++)
        {
            StartPeer(children, plan.ForFounder(address), isNewcomer: false);
        }

        try
        {
            await foreach (var output in children.ReadAllAsync(cancellationToken))
            {
                Apply(output);
                if (_progress.Failure is not null)
                {
                    break;
                }

                if (_progress.IsNewcomerDue)
                {
                    StartPeer(children, plan.ForNewcomer(address), isNewcomer: true);
                }

                display.Update(_progress);
            }
        }
        catch (TimeoutException error)
        {
            _progress.Fail(error.Message);
        }

        display.Update(_progress);
        return DemoReport.Of(_progress, Stopwatch.GetElapsedTime(started));
    }

    private void StartPeer(ChildGroup children, DemoPeerSettings settings, bool isNewcomer)
        => _progress.AddPeer(children.Start(settings.ToArguments()).ProcessId, isNewcomer);

    private void Apply(ChildOutput output)
    {
        if (output.Line is null)
        {
            _progress.ApplyEnd(output.Child.Index, output.Child.ExitCode, output.Child.ErrorText);
        }
        else if (JsonLines.Parse<DemoEvent>(output.Line) is { } news)
        {
            _progress.Apply(output.Child.Index, news);
        }
        else
        {
            _progress.Fail($"Peer {output.Child.Index} wrote a line that is no event of the demo: {output.Line}");
        }
    }
}
