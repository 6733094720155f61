using System.CommandLine;
using Collective.Stress.Bench;
using Collective.Stress.BenchSync;
using Collective.Stress.Churn;
using Collective.Stress.Demo;

namespace Collective.Stress;

internal static class Program
{
    private static Task<int> Main(string[] arguments)
    {
        var root = new RootCommand("Collective with real processes: a demo, benchmarks, and churn.")
        {
            DemoCommand.Create(),
            DemoCommand.CreatePeer(),
            BenchCommand.Create(),
            BenchCommand.CreatePeer(),
            SyncBenchCommand.Create(),
            SyncBenchCommand.CreatePeer(),
            ChurnCommand.Create(),
            ChurnCommand.CreatePeer(),
        };
        return CommandLine.InvokeAsync(root, arguments);
    }
}
