import ast
import re
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup

HERE = Path(__file__).parent
HOME = 'https://github.com/flowlogs-reader/flowlogs_reader'


def constant(name, module):
    """Return the value of a constant in a module, without importing the package: that needs its dependencies."""
    text = (HERE / 'flowlogs_reader' / module).read_text('utf-8')
    return ast.literal_eval(re.search(f'^{name} = (.+)$', text, re.M)[1])


EXTRAS = constant('EXTRAS', 'errors.py')
ATHENA = ('duckdb>=1.2', 'numpy', 'sqlglot>=30', 'trino-sql-validator>=0.23')
# What is done once for each record, in C. Optional: without a compiler the package is installed all the same, and is
# slower. The limited API makes one wheel for Python 3.10 and all later ones.
NATIVE = Extension(
    'flowlogs_reader.kernel._native',
    ['flowlogs_reader/kernel/native/module.c'],
    depends=[path.relative_to(HERE).as_posix() for path in HERE.glob('flowlogs_reader/kernel/native/*.h')],
    define_macros=[('Py_LIMITED_API', '0x030a0000')],
    extra_compile_args=[] if sys.platform == 'win32' else ['-std=c11', '-O3'],
    py_limited_api=True,
    optional=True,
)

setup(
    name='flowlogs_reader',
    version=constant('__version__', '__init__.py'),
    description='Reads AWS VPC Flow Logs from CloudWatch Logs, S3 and files, for the shell and for Python',
    long_description=(HERE / 'README.md').read_text('utf-8'),
    long_description_content_type='text/markdown',
    project_urls={'Source': HOME, 'Issues': f'{HOME}/issues', 'Changes': f'{HOME}#changes'},
    license='Apache-2.0',
    keywords='aws vpc flow logs cloudwatch s3 network',
    classifiers=[
        'Development Status :: 5 - Production/Stable',
        'Environment :: Console',
        'Intended Audience :: Developers',
        'Intended Audience :: System Administrators',
        'Operating System :: OS Independent',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Topic :: System :: Networking :: Monitoring',
        'Typing :: Typed',
    ],
    packages=find_packages(include=['flowlogs_reader', 'flowlogs_reader.*']),
    package_data={'flowlogs_reader': ['py.typed', 'aws/models/*/*/*.json', 'kernel/*.pyi', 'output/page.*']},
    ext_modules=[NATIVE],
    options={'bdist_wheel': {'py_limited_api': 'cp310'}},
    python_requires='>=3.10',
    install_requires=['boto3>=1.36', 'python-dateutil>=2.8.2,<3.0.0'],
    extras_require={
        **{extra: [library] for extra, library in EXTRAS.items()},
        'all': [*EXTRAS.values()],
        'test': [
            *EXTRAS.values(),
            'hypothesis>=6.100',
            'pytest>=8',
            'pytest-cov>=5',
            'pytest-xdist>=3.5',
            # What runs the SQL of the fake Athena. A Python for which one of them has no wheel is tested without it.
            *(f'{library}; python_version < "3.15"' for library in ATHENA),
        ],
    },
    entry_points={'console_scripts': ['flowlogs_reader=flowlogs_reader.__main__:run']},
)
